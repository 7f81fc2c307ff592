/** Whether a mission is flown once or again and again, and when. */
import { useWords } from "../i18n";
import { RECURS, type RecurrenceDraft, type Recurs } from "./recurrence";

interface RecurrenceFieldsProps {
  draft: RecurrenceDraft;
  onChange: (draft: RecurrenceDraft) => void;
}

export function RecurrenceFields({ draft, onChange }: RecurrenceFieldsProps) {
  const { t } = useWords();
  return (
    <>
      <label>
        {t("schedule.recurs")}
        <select value={draft.recurs} onChange={(event) => onChange({ ...draft, recurs: event.target.value as Recurs })}>
          {RECURS.map((recurs) => (
            <option key={recurs} value={recurs}>
              {t(`recurs.${recurs}`)}
            </option>
          ))}
        </select>
      </label>
      {draft.recurs === "rule" && (
        <label>
          {t("schedule.rule")}
          <input
            value={draft.rule}
            placeholder="FREQ=WEEKLY;BYDAY=MO,TH"
            onChange={(event) => onChange({ ...draft, rule: event.target.value })}
          />
        </label>
      )}
      {draft.recurs !== "once" && (
        <>
          <label>
            {t("schedule.starts")}
            <input type="datetime-local" value={draft.starts} onChange={(event) => onChange({ ...draft, starts: event.target.value })} />
          </label>
          <label>
            {t("schedule.expires")}
            <input type="datetime-local" value={draft.expires} onChange={(event) => onChange({ ...draft, expires: event.target.value })} />
          </label>
        </>
      )}
    </>
  );
}
