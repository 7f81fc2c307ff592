/** Missions that recur: when each is due next and not, what stands against it; paused, followed again, removed. */
import { useCallback, useEffect, useState } from "react";
import { api } from "../api/client";
import type { NewSchedule, Schedule, ScheduleConflict } from "../api/types";
import { useWords } from "../i18n";
import { useMay } from "../live/context";
import { Action, Confirm, useBusy } from "../parts/controls";
import { useNotices } from "../parts/notices";
import { Blackouts } from "./Blackouts";
import { recursOf } from "./recurrence";

const LOOK_AGAIN_MS = 30_000;

const MOST_SHOWN = 3;

/** What stands against its next due times; what was asked about and is not known yet is null. */
function Conflicts({ conflicts }: { conflicts: readonly ScheduleConflict[] | null }) {
  const { t, term, dateTime } = useWords();
  const [all, setAll] = useState(false);
  if (conflicts === null) return <p className="hint">{t("conflict.asking")}</p>;
  if (conflicts.length === 0) return <p className="hint">{t("conflict.none")}</p>;
  const shown = all ? conflicts : conflicts.slice(0, MOST_SHOWN);
  return (
    <div className="conflicts">
      <h4>{t("conflict.title", { n: conflicts.length })}</h4>
      <ul>
        {shown.map((conflict, index) => (
          <li key={index} className="problem" data-conflict={conflict.kind}>
            <b>{term("conflict", conflict.kind)}</b> <time>{dateTime(conflict.due_utc)}</time>
            <p>{conflict.text}</p>
          </li>
        ))}
      </ul>
      {shown.length < conflicts.length && (
        <Action look="plain" onClick={() => setAll(true)}>
          {t("conflict.more", { n: conflicts.length - shown.length })}
        </Action>
      )}
    </div>
  );
}

interface ScheduleRowProps {
  schedule: Schedule;
  conflicts: readonly ScheduleConflict[] | null;
  changed: () => void;
}

function ScheduleRow({ schedule, conflicts, changed }: ScheduleRowProps) {
  const { t, term, dateTime } = useWords();
  const { fail } = useNotices();
  const blocked = useMay("operator", "administrator") ? null : t("why.maintenance");
  const [busy, run] = useBusy(fail);
  const [removing, setRemoving] = useState(false);
  const choice = recursOf(schedule.recurrence.rule);
  const replace = (news: Partial<NewSchedule>): void =>
    run(async () => {
      const { name, purpose, request, recurrence, active, lead_s, late_s, catch_up, catch_up_most, catch_up_within_s } = schedule;
      const kept = { name, purpose, request, recurrence, active, lead_s, late_s, catch_up, catch_up_most, catch_up_within_s };
      await api.replaceSchedule(schedule.id, { ...kept, ...news });
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
      {schedule.active && <Conflicts conflicts={conflicts} />}
      <Blackouts
        blackouts={schedule.recurrence.blackouts ?? []}
        blocked={blocked}
        busy={busy}
        onChange={(blackouts) => replace({ recurrence: { ...schedule.recurrence, blackouts } })}
      />
      <div className="row">
        <Action busy={busy} blocked={blocked} onClick={() => replace({ active: !schedule.active })}>
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
  const [open, setOpen] = useState(false);
  const [conflicts, setConflicts] = useState<ScheduleConflict[] | null>(null);
  const load = useCallback(() => {
    api.schedules().then(setSchedules, fail);
  }, [fail]);
  useEffect(() => {
    load();
    const timer = window.setInterval(load, LOOK_AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [load]);
  const asked = schedules.map(({ id, active, recurrence }) => JSON.stringify([id, active, recurrence])).join();
  useEffect(() => {
    if (!open || asked === "") return;
    let current = true;
    setConflicts(null);
    api.scheduleConflicts().then((found) => current && setConflicts(found), fail);
    return () => {
      current = false;
    };
  }, [open, asked, fail]);
  if (schedules.length === 0) return null;
  return (
    <details className="schedules" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("schedule.title", { n: schedules.length })}</summary>
      <ul>
        {schedules.map((schedule) => (
          <ScheduleRow
            key={schedule.id}
            schedule={schedule}
            conflicts={conflicts?.filter((conflict) => conflict.schedules.includes(schedule.id)) ?? null}
            changed={load}
          />
        ))}
      </ul>
    </details>
  );
}
