/** What the planning form holds before it becomes a request. */
import type { Polygon } from "geojson";
import type { PlanRequest } from "../api/types";

export interface PlanDraft {
  camera: string;
  by: "gsd" | "height";
  gsd_cm: string;
  height_m: string;
  front_percent: string;
  side_percent: string;
  speed_m_s: string;
  vehicles: ReadonlySet<number>;
}

export const FIRST_DRAFT: PlanDraft = {
  camera: "",
  by: "height",
  gsd_cm: "5",
  height_m: "70",
  front_percent: "75",
  side_percent: "65",
  speed_m_s: "",
  vehicles: new Set(),
};

/** The request a draft asks for. Overlaps go out in percent; what is out of range the service says. */
export function requestOf(draft: PlanDraft, area: Polygon): PlanRequest {
  const request: PlanRequest = {
    kind: "survey",
    area,
    camera: draft.camera,
    front_overlap: Number(draft.front_percent),
    side_overlap: Number(draft.side_percent),
    vehicles: [...draft.vehicles].sort((a, b) => a - b),
  };
  if (draft.by === "gsd") request.gsd_cm = Number(draft.gsd_cm);
  else request.height_m = Number(draft.height_m);
  if (draft.speed_m_s !== "") request.speed_m_s = Number(draft.speed_m_s);
  return request;
}
