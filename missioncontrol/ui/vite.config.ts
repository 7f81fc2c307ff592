import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const service = process.env["MC_SERVICE"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: { target: "es2022", chunkSizeWarningLimit: 1600, sourcemap: false },
  server: {
    proxy: {
      "/api": { target: service, ws: true },
      "/tiles": { target: service },
    },
  },
});
