/** When nothing of a schedule is due though its rule says so: listed, added, taken off. */
import { useState, type FormEvent } from "react";
import type { Blackout } from "../api/types";
import { useWords, type Words } from "../i18n";
import { Action, Dialog } from "../parts/controls";

const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"] as const;

/** Days, weekdays and times of the day in one line. */
function wordsOf({ first_day, last_day, weekdays, begins, ends }: Blackout, { t, term, date }: Words): string {
  const days =
    first_day && first_day === last_day
      ? date(first_day)
      : [first_day ? t("blackout.since", { day: date(first_day) }) : "", last_day ? t("blackout.until", { day: date(last_day) }) : ""].join(" ").trim();
  const on = (weekdays ?? []).map((day) => term("weekday", day)).join(", ");
  const times = begins || ends ? t("blackout.times", { begins: (begins ?? "00:00").slice(0, 5), ends: (ends ?? "24:00").slice(0, 5) }) : "";
  return [days, on, times].filter(Boolean).join(", ");
}

function BlackoutForm({ onAdd, onClose }: { onAdd: (blackout: Blackout) => void; onClose: () => void }) {
  const { t, term } = useWords();
  const [draft, setDraft] = useState({ first_day: "", last_day: "", begins: "", ends: "", reason: "" });
  const [weekdays, setWeekdays] = useState<readonly string[]>([]);
  const field = (name: keyof typeof draft, type: string) => (
    <label>
      {t(`blackout.${name}`)}
      <input type={type} value={draft[name]} onChange={(event) => setDraft({ ...draft, [name]: event.target.value })} />
    </label>
  );
  const { reason, ...when } = draft;
  const whole = { ...when, begins: when.begins && `${when.begins}:00`, ends: when.ends && `${when.ends}:00` };
  const given = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== ""));
  const empty = Object.keys(given).length === 0 && weekdays.length === 0;
  const add = (event: FormEvent): void => {
    event.preventDefault();
    if (empty) return;
    onClose();
    onAdd({ ...given, weekdays: WEEKDAYS.filter((day) => weekdays.includes(day)), reason: reason.trim() });
  };
  return (
    <Dialog title={t("blackout.add")} onClose={onClose}>
      <form onSubmit={add}>
        <p className="hint">{t("blackout.what")}</p>
        <div className="grid2">
          {field("first_day", "date")}
          {field("last_day", "date")}
          {field("begins", "time")}
          {field("ends", "time")}
        </div>
        <div className="checks">
          {WEEKDAYS.map((day) => (
            <label key={day} className="check">
              <input
                type="checkbox"
                checked={weekdays.includes(day)}
                onChange={() => setWeekdays(weekdays.includes(day) ? weekdays.filter((one) => one !== day) : [...weekdays, day])}
              />
              {term("weekday", day)}
            </label>
          ))}
        </div>
        {field("reason", "text")}
        <div className="row end">
          <Action onClick={onClose}>{t("action.cancel")}</Action>
          <Action type="submit" look="primary" blocked={empty ? t("blackout.what") : null}>
            {t("blackout.add")}
          </Action>
        </div>
      </form>
    </Dialog>
  );
}

interface BlackoutsProps {
  blackouts: readonly Blackout[];
  blocked: string | null;
  busy: boolean;
  onChange: (blackouts: Blackout[]) => void;
}

export function Blackouts({ blackouts, blocked, busy, onChange }: BlackoutsProps) {
  const words = useWords();
  const { t } = words;
  const [adding, setAdding] = useState(false);
  return (
    <div className="blackouts">
      {blackouts.length > 0 && <h4>{t("blackout.title")}</h4>}
      <ul>
        {blackouts.map((blackout, index) => (
          <li key={index} data-blackout>
            <span>
              {wordsOf(blackout, words)}
              {blackout.reason && <span className="dim"> {blackout.reason}</span>}
            </span>
            <Action
              look="plain"
              blocked={blocked}
              busy={busy}
              aria-label={t("blackout.remove")}
              title={t("blackout.remove")}
              onClick={() => onChange(blackouts.filter((_, at) => at !== index))}
            >
              ×
            </Action>
          </li>
        ))}
      </ul>
      <Action blocked={blocked} busy={busy} onClick={() => setAdding(true)}>
        {t("blackout.add")} …
      </Action>
      {adding && <BlackoutForm onAdd={(blackout) => onChange([...blackouts, blackout])} onClose={() => setAdding(false)} />}
    </div>
  );
}
