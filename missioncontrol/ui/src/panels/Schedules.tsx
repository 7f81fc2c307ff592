/** Missions that recur: when each is due next, what became of the last times; paused, followed again, removed. */
import { useCallback, useEffect, useState } from "react";
import { api } from "../api/client";
import type { Schedule } from "../api/types";
import { useWords } from "../i18n";
import { useMay } from "../live/context";
import { Action, Confirm, useBusy } from "../parts/controls";
import { useNotices } from "../parts/notices";
import { recursOf } from "./recurrence";

const LOOK_AGAIN_MS = 30_000;

function ScheduleRow({ schedule, changed }: { schedule: Schedule; changed: () => void }) {
  const { t, term, dateTime } = useWords();
  const { fail } = useNotices();
  const blocked = useMay("operator", "administrator") ? null : t("why.maintenance");
  const [busy, run] = useBusy(fail);
  const [removing, setRemoving] = useState(false);
  const choice = recursOf(schedule.recurrence.rule);
  const toggle = (): void =>
    run(async () => {
      const { name, purpose, request, recurrence, lead_s, late_s, catch_up, catch_up_most, catch_up_within_s } = schedule;
      const kept = { name, purpose, request, recurrence, lead_s, late_s, catch_up, catch_up_most, catch_up_within_s };
      await api.replaceSchedule(schedule.id, { ...kept, active: !schedule.active });
      changed();
    });
  const remove = (): void =>
    run(async () => {
      await api.removeSchedule(schedule.id);
      changed();
    });
  return (
    <li data-schedule={schedule.id}>
      <p>
        <b>{schedule.name}</b> <span className="dim">{t(`pattern.${schedule.request.kind}`)}</span>
      </p>
      <p className="dim">
        {choice === "rule" ? schedule.recurrence.rule : term("recurs", choice)}
        {" · "}
        {!schedule.active
          ? t("schedule.paused")
          : schedule.next_utc === null
            ? t("schedule.over")
            : t("schedule.next", { time: dateTime(schedule.next_utc) })}
      </p>
      <div className="row">
        <Action busy={busy} blocked={blocked} onClick={toggle}>
          {t(schedule.active ? "schedule.pause" : "schedule.follow")}
        </Action>
        <Action busy={busy} blocked={blocked} look="danger" onClick={() => setRemoving(true)}>
          {t("schedule.remove")}
        </Action>
      </div>
      {removing && (
        <Confirm
          title={t("schedule.remove_ask", { name: schedule.name })}
          text={t("schedule.remove_warning")}
          action={t("schedule.remove")}
          danger
          onConfirm={remove}
          onClose={() => setRemoving(false)}
        />
      )}
    </li>
  );
}

export function Schedules() {
  const { t } = useWords();
  const { fail } = useNotices();
  const [schedules, setSchedules] = useState<Schedule[]>([]);
  const load = useCallback(() => {
    api.schedules().then(setSchedules, fail);
  }, [fail]);
  useEffect(() => {
    load();
    const timer = window.setInterval(load, LOOK_AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [load]);
  if (schedules.length === 0) return null;
  return (
    <details className="schedules">
      <summary>{t("schedule.title", { n: schedules.length })}</summary>
      <ul>
        {schedules.map((schedule) => (
          <ScheduleRow key={schedule.id} schedule={schedule} changed={load} />
        ))}
      </ul>
    </details>
  );
}
