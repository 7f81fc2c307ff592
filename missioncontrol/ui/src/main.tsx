import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { WordsProvider } from "./i18n";
import { NoticesProvider } from "./parts/notices";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/panels.css";
import "./styles/map.css";
import "./styles/overlays.css";
import "./styles/archive.css";
import "./styles/incidents.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <WordsProvider>
      <NoticesProvider>
        <App />
      </NoticesProvider>
    </WordsProvider>
  </StrictMode>,
);
