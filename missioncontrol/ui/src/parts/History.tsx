/** What was done to a mission or an incident, by whom and when. */
import type { HistoryEvent } from "../api/types";
import { useWords } from "../i18n";

const HASH_SHOWN = 12;

function valueText(value: unknown): string {
  if (typeof value === "string") return value.replace(/[0-9a-f]{64}/g, (hash) => `${hash.slice(0, HASH_SHOWN)}…`);
  if (Array.isArray(value)) return value.map(valueText).join(", ");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(([name, part]) => `${name} ${valueText(part)}`)
      .join(", ");
  }
  return String(value);
}

/** A note as it is; facts by name in one line. */
function detailText(detail: HistoryEvent["detail"]): string {
  if (detail === null || detail === undefined) return "";
  if (typeof detail === "string") return valueText(detail);
  return Object.entries(detail)
    .map(([name, value]) => (name === "reason" || name === "text" ? valueText(value) : `${name}: ${valueText(value)}`))
    .join(" · ");
}

export function History({ events, group }: { events: readonly HistoryEvent[]; group: string }) {
  const { term, dateTime } = useWords();
  return (
    <ol className="history">
      {events.map((event, index) => {
        const detail = detailText(event.detail);
        return (
          <li key={index}>
            <time>{dateTime(event.utc)}</time> <b>{term(group, event.event)}</b> {event.person}
            {detail !== "" && <p>{detail}</p>}
          </li>
        );
      })}
    </ol>
  );
}
