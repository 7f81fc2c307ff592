/** Which step of a mission comes next, and who may take it. */
import type { MissionStep } from "../api/client";
import type { Mission, Progress, Role } from "../api/types";

export interface Step {
  step: MissionStep;
  role: Role;
  /** Asked before it is done. */
  asks: boolean;
}

const STEPS: Record<string, Step[]> = {
  draft: [{ step: "plan", role: "operator", asks: false }],
  planned: [{ step: "approve", role: "administrator", asks: false }],
  approved: [{ step: "launch", role: "operator", asks: true }],
};
const ABORT: Step = { step: "abort", role: "operator", asks: true };
const UNDER_WAY = new Set(["launching", "uploading", "uploaded", "flying"]);

export const isUnderWay = (mission: Mission): boolean => UNDER_WAY.has(mission.state);

export const stepsOf = (mission: Mission): Step[] => (isUnderWay(mission) ? [ABORT] : (STEPS[mission.state] ?? []));

/** Each vehicle's progress, whichever field the service keeps it in. */
export function progressOf(mission: Mission): Progress[] {
  if (mission.progress !== undefined) return mission.progress;
  return (mission.vehicles ?? []).filter((each): each is Progress => typeof each === "object");
}

export function fractionOf(progress: Progress): number {
  if (typeof progress.fraction === "number") return progress.fraction;
  return progress.total ? (progress.item ?? 0) / progress.total : 0;
}

const bornOf = (mission: Mission): string => String(mission.history?.[0]?.utc ?? mission.created_utc ?? "");

/** Under way first, then newest first (ids are ordered by time where no history is sent). */
export function inOrder(missions: Iterable<Mission>): Mission[] {
  return [...missions].sort(
    (a, b) =>
      Number(isUnderWay(b)) - Number(isUnderWay(a)) || bornOf(b).localeCompare(bornOf(a)) || b.id.localeCompare(a.id),
  );
}
