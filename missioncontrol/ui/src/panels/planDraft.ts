/** What the planning form holds before it becomes a request. */
import type { Pattern, PlanRequest, Shape } from "../api/types";
import { PATTERNS, type Field } from "./patterns";

export interface PlanDraft {
  kind: Pattern;
  camera: string;
  by: "gsd" | "height";
  gsd_cm: string;
  height_m: string;
  /** What was filled in, by `pattern.field`; the rest is as the pattern has it at first. */
  filled: Readonly<Record<string, string>>;
  vehicles: ReadonlySet<number>;
}

export const FIRST_DRAFT: PlanDraft = {
  kind: "survey",
  camera: "",
  by: "height",
  gsd_cm: "5",
  height_m: "70",
  filled: {},
  vehicles: new Set(),
};

function firstOf(field: Field): string {
  if (field.type === "choice") return field.choices[0] ?? "";
  return String(field.first);
}

export const valueOf = (draft: PlanDraft, field: Field): string =>
  draft.filled[`${draft.kind}.${field.name}`] ?? firstOf(field);

export const filledIn = (draft: PlanDraft, field: Field, value: string): Partial<PlanDraft> => ({
  filled: { ...draft.filled, [`${draft.kind}.${field.name}`]: value },
});

function sent(field: Field, value: string): unknown {
  if (field.type === "number") return Number(value) * (field.scale ?? 1);
  return field.type === "check" ? value === "true" : value;
}

/** The request a draft asks for. Overlaps go out in percent; what is out of range the service says. */
export function requestOf(draft: PlanDraft, shape: Shape): PlanRequest {
  const pattern = PATTERNS[draft.kind];
  const request: PlanRequest = {
    kind: draft.kind,
    [pattern.field]: shape,
    camera: draft.camera,
    vehicles: [...draft.vehicles].sort((a, b) => a - b),
  };
  if (pattern.gsd && draft.by === "gsd") request.gsd_cm = Number(draft.gsd_cm);
  else request.height_m = Number(draft.height_m);
  for (const field of [...pattern.fields, ...pattern.picture]) {
    const value = valueOf(draft, field);
    if (value !== "") request[field.name] = sent(field, value);
  }
  return request;
}
