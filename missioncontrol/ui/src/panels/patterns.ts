/** The patterns that can be flown: what each is laid over, and which of its fields a person fills in. */
import type { Pattern, PlanRequest, Shape, ShapeField } from "../api/types";
import { shapesIn } from "../map/geojson";

export type Unit = "m" | "m_s" | "s" | "deg" | "percent" | "times" | "min";

export type Field = { name: FieldName } & (
  | { type: "number"; unit: Unit; scale?: number; first: string; step?: number; least?: number; optional?: "auto" | "same" }
  | { type: "choice"; choices: readonly Choice[] }
  | { type: "check"; first: boolean }
);

export type Choice = "both" | "left" | "right" | "square" | "sectors";

export type FieldName =
  | "direction_deg"
  | "crosshatch"
  | "width_m"
  | "side"
  | "rounds"
  | "inset_m"
  | "radius_m"
  | "turns"
  | "clockwise"
  | "end_radius_m"
  | "end_height_m"
  | "structure_height_m"
  | "standoff_m"
  | "hold_s"
  | "duration_s"
  | "overlap_s"
  | "shape"
  | "front_overlap"
  | "side_overlap"
  | "pitch_deg"
  | "speed_m_s";

export interface PatternSpec {
  shape: Shape["type"];
  field: ShapeField;
  /** Its own fields. */
  fields: readonly Field[];
  /** The fields of the picture that count for it. */
  picture: readonly Field[];
  /** Whether a GSD may be asked for instead of a height. */
  gsd: boolean;
}

const FRONT: Field = { name: "front_overlap", type: "number", unit: "percent", first: "75" };
const SIDE: Field = { name: "side_overlap", type: "number", unit: "percent", first: "65" };
const PITCH: Field = { name: "pitch_deg", type: "number", unit: "deg", first: "-90", step: 5, least: -90 };
const SPEED: Field = { name: "speed_m_s", type: "number", unit: "m_s", first: "", optional: "auto" };

export const PATTERNS: Readonly<Record<Pattern, PatternSpec>> = {
  survey: {
    shape: "Polygon",
    field: "area",
    fields: [
      { name: "direction_deg", type: "number", unit: "deg", first: "", optional: "auto" },
      { name: "crosshatch", type: "check", first: false },
    ],
    picture: [FRONT, SIDE, PITCH, SPEED],
    gsd: true,
  },
  corridor: {
    shape: "LineString",
    field: "line",
    fields: [
      { name: "width_m", type: "number", unit: "m", first: "60", step: 5 },
      { name: "side", type: "choice", choices: ["both", "left", "right"] },
    ],
    picture: [FRONT, SIDE, PITCH, SPEED],
    gsd: true,
  },
  waypoints: { shape: "LineString", field: "line", fields: [], picture: [FRONT, PITCH, SPEED], gsd: true },
  patrol: {
    shape: "Polygon",
    field: "area",
    fields: [
      { name: "rounds", type: "number", unit: "times", first: "1", least: 1 },
      { name: "inset_m", type: "number", unit: "m", first: "0", step: 5, least: -500 },
    ],
    picture: [FRONT, PITCH, SPEED],
    gsd: true,
  },
  orbit: {
    shape: "Point",
    field: "place",
    fields: [
      { name: "radius_m", type: "number", unit: "m", first: "40", step: 5 },
      { name: "turns", type: "number", unit: "times", first: "1", step: 0.5 },
      { name: "end_radius_m", type: "number", unit: "m", first: "", step: 5, optional: "same" },
      { name: "end_height_m", type: "number", unit: "m", first: "", step: 5, optional: "same" },
      { name: "clockwise", type: "check", first: true },
    ],
    picture: [FRONT, SPEED],
    gsd: false,
  },
  facades: {
    shape: "Polygon",
    field: "area",
    fields: [
      { name: "structure_height_m", type: "number", unit: "m", first: "25" },
      { name: "standoff_m", type: "number", unit: "m", first: "15" },
    ],
    picture: [FRONT, SPEED],
    gsd: false,
  },
  visits: {
    shape: "MultiPoint",
    field: "places",
    fields: [{ name: "hold_s", type: "number", unit: "s", first: "10", step: 5 }],
    picture: [SPEED],
    gsd: false,
  },
  search: {
    shape: "Point",
    field: "place",
    fields: [
      { name: "radius_m", type: "number", unit: "m", first: "200", step: 10 },
      { name: "shape", type: "choice", choices: ["square", "sectors"] },
    ],
    picture: [FRONT, { ...SIDE, first: "20" }, PITCH, SPEED],
    gsd: true,
  },
  look: {
    shape: "Point",
    field: "place",
    fields: [{ name: "hold_s", type: "number", unit: "s", first: "120", step: 10 }],
    picture: [SPEED],
    gsd: false,
  },
  watch: {
    shape: "Point",
    field: "place",
    fields: [
      { name: "duration_s", type: "number", unit: "min", first: "60", step: 10, scale: 60 },
      { name: "overlap_s", type: "number", unit: "s", first: "30", step: 10 },
    ],
    picture: [SPEED],
    gsd: false,
  },
};

export const PATTERN_NAMES = Object.keys(PATTERNS) as Pattern[];

/** What a request is laid over; null where the console does not know its pattern. */
export function shapeOf(request: PlanRequest | undefined): Shape | null {
  const pattern = request === undefined ? undefined : PATTERNS[request.kind];
  if (request === undefined || pattern === undefined) return null;
  return shapesIn(request[pattern.field], pattern.shape)[0]?.shape ?? null;
}
