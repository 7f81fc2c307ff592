/** When a mission recurs: the choices of the form, and the rule that each stands for (RFC 5545). */
import type { Recurrence } from "../api/types";

export const TIME_ZONE = "Asia/Almaty";

const RULES = {
  daily: "FREQ=DAILY",
  workdays: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
  weekly: "FREQ=WEEKLY",
  monthly: "FREQ=MONTHLY",
} as const;

export type Recurs = "once" | keyof typeof RULES | "rule";
export const RECURS: readonly Recurs[] = ["once", "daily", "workdays", "weekly", "monthly", "rule"];

export interface RecurrenceDraft {
  recurs: Recurs;
  rule: string;
  /** Local times to the minute, as a datetime-local input has them; the service wants seconds too. */
  starts: string;
  expires: string;
}

/** The next full hour there, as a datetime-local input has it. */
export function nextHour(now_ms: number): string {
  const local = new Intl.DateTimeFormat("sv", { timeZone: TIME_ZONE, dateStyle: "short", timeStyle: "short" });
  return `${local.format(now_ms + 3_600_000).slice(0, 13).replace(" ", "T")}:00`;
}

export function recurrenceOf(draft: RecurrenceDraft): Recurrence | null {
  if (draft.recurs === "once") return null;
  const rule = draft.recurs === "rule" ? draft.rule.trim() : RULES[draft.recurs];
  const found: Recurrence = { rule, starts: `${draft.starts}:00`, time_zone: TIME_ZONE };
  if (draft.expires !== "") found.expires = `${draft.expires}:00`;
  return found;
}

/** The choice that a rule stands for. */
export function recursOf(rule: string): Recurs {
  return RECURS.find((name) => name in RULES && RULES[name as keyof typeof RULES] === rule) ?? "rule";
}
