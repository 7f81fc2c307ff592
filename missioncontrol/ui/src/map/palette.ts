/** Colours and glyphs shared by the map, the legend and the lists. */

const VEHICLE_COLOURS = ["#4cc2ff", "#ffb84d", "#c58aff", "#7ddc82", "#ff7fb0", "#f2e35e", "#4fd6c4", "#d49a7a"];

/** The colour of a vehicle, the same everywhere; `order` is its place in the sorted list of sysids. */
export function vehicleColour(order: number): string {
  return VEHICLE_COLOURS[Math.max(order, 0) % VEHICLE_COLOURS.length] ?? "#4cc2ff";
}

export const INCIDENT_KINDS = [
  "dump",
  "flooding",
  "unauthorized_construction",
  "public_disorder",
  "fire",
  "smoke",
] as const;

const KIND_COLOURS: Record<string, string> = {
  dump: "#d98e4a",
  flooding: "#4a90e2",
  unauthorized_construction: "#e3c341",
  public_disorder: "#d667d0",
  fire: "#ff5a4a",
  smoke: "#9aa7b3",
};

export const kindColour = (kind: string): string => KIND_COLOURS[kind] ?? "#b0bec5";

const CLASS_KINDS: Record<string, string> = {
  flood: "flooding",
  construction: "unauthorized_construction",
  person: "public_disorder",
};

/** The colour of what a detector finds. */
export const detectionColour = (found: string): string => kindColour(CLASS_KINDS[found] ?? found);

/** Line glyphs on a 24 x 24 grid, stroked. */
const KIND_GLYPHS: Record<string, string> = {
  dump: "M4 19h16M6 19l3-6 3 2 3-5 4 9M9.5 9.5l2-2.5 2 2",
  flooding: "M4 10c2-2 3.5-2 5.3 0s3.5 2 5.4 0 3.5-2 5.3 0M4 15c2-2 3.5-2 5.3 0s3.5 2 5.4 0 3.5-2 5.3 0",
  unauthorized_construction: "M5 19V9l7-4 7 4v10M5 19h14M10 19v-5h4v5",
  public_disorder: "M8.5 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM15.5 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM4.5 18c0-3 1.6-5 4-5s3.5 1.5 3.5 4c0-2.5 1.1-4 3.5-4s4 2 4 5",
  fire: "M12 20c-3.6 0-6-2.3-6-5.5C6 10.5 10 9 10.5 4.5c3 1.5 4 4 3.8 6.5 1-.3 1.6-1.2 1.7-2.2 1.5 1.6 2 3.6 2 5.7 0 3.2-2.4 5.5-6 5.5z",
  smoke: "M7 18h9a3.5 3.5 0 0 0 .6-6.9A4.8 4.8 0 0 0 7.3 10 4 4 0 0 0 7 18z",
};

export const kindGlyph = (kind: string): string => KIND_GLYPHS[kind] ?? "M12 6v7M12 17v.5";

/** Three looks of an incident marker: still to be judged, confirmed by a person, set aside. */
export type Standing = "open" | "confirmed" | "closed";

const CLOSED = new Set(["rejected", "expired", "merged", "resolved", "closed"]);
const OPEN = new Set(["detected", "triaged", "reopened"]);

export function standingOf(state: string): Standing {
  if (OPEN.has(state)) return "open";
  return CLOSED.has(state) ? "closed" : "confirmed";
}

const VEHICLE_GLYPH = "M12 2.5l6.5 18L12 16.8 5.5 20.5z";
export const vehicleGlyph = VEHICLE_GLYPH;

/** What a zone asks, as a colour. */
export const ZONE_COLOURS = {
  PROHIBITED: "#ff5a4a",
  REQ_AUTHORIZATION: "#ff9f43",
  CONDITIONAL: "#f2d45c",
  USPACE: "#f2d45c",
} as const;
export const OTHER_ZONE_COLOUR = "#8fd3a0";
