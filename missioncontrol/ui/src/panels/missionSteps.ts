/** Which step of a mission comes next, and who may take it. */
import type { MissionStep } from "../api/client";
import type { Mission, Progress, Role } from "../api/types";

export interface Step {
  step: MissionStep;
  /** Any one of these may take it. */
  roles: readonly Role[];
  /** Asked before it is done. */
  asks: boolean;
}

const PLAN: Step = { step: "plan", roles: ["operator", "administrator"], asks: false };
const APPROVE: Step = { step: "approve", roles: ["administrator"], asks: false };
const LAUNCH: Step = { step: "launch", roles: ["operator"], asks: true };
const ABORT: Step = { step: "abort", roles: ["operator"], asks: true };
const STEPS: Record<string, readonly Step[]> = {
  draft: [PLAN, ABORT],
  planned: [APPROVE, ABORT],
  approved: [LAUNCH, ABORT],
  failed: [PLAN],
  aborted: [PLAN],
};
const UNDER_WAY = new Set(["uploaded", "flying"]);
const BUSY_STAGES = new Set(["waiting", "uploading", "checking", "uploaded", "arming", "flying", "returning"]);

/** From the launch on; while its vehicles are uploaded to, a mission is still called approved. */
export function isUnderWay(mission: Mission): boolean {
  if (UNDER_WAY.has(mission.state)) return true;
  return mission.state === "approved" && progressOf(mission).some((progress) => BUSY_STAGES.has(progress.stage));
}

export const stepsOf = (mission: Mission): readonly Step[] =>
  isUnderWay(mission) ? [ABORT] : (STEPS[mission.state] ?? []);

export const progressOf = (mission: Mission): readonly Progress[] => mission.progress ?? [];

/** How much of the flight is behind it; while uploading, how much of the upload. */
export function fractionOf(progress: Progress): number {
  if (progress.stage === "uploading" && progress.total) return (progress.item ?? 0) / progress.total;
  return progress.fraction ?? 0;
}

/** Under way first, then newest first. */
export function inOrder(missions: Iterable<Mission>): Mission[] {
  return [...missions].sort(
    (a, b) =>
      Number(isUnderWay(b)) - Number(isUnderWay(a)) ||
      String(b.created_utc ?? "").localeCompare(String(a.created_utc ?? "")) ||
      b.id.localeCompare(a.id),
  );
}
