/** What each receiver answered, and the incident's history. */
import type { Incident, Receipt } from "../api/types";
import { useWords } from "../i18n";
import { History } from "../parts/History";

function receiptWords(receipt: Receipt): string {
  const text = receipt.receipt ?? receipt.error;
  if (text === null || text === undefined) return "";
  return typeof text === "string" ? text : JSON.stringify(text);
}

export function Receipts({ incident }: { incident: Incident }) {
  const { t, term } = useWords();
  const { handoffs = [], history = [] } = incident.properties;
  return (
    <>
      <h4>{t("incident.handoffs")}</h4>
      {handoffs.length === 0 && <p className="hint">{t("incident.no_handoffs")}</p>}
      <ul className="receipts">
        {handoffs.map((handoff, index) => (
          <li key={index}>
            <b>{handoff.sink}</b>
            <span className={`state handoff-${handoff.state}`}>{term("handoff_state", handoff.state)}</span>
            <code>{receiptWords(handoff)}</code>
          </li>
        ))}
      </ul>
      {history.length > 0 && (
        <details>
          <summary>{t("mission.history")}</summary>
          <History events={history} group="incident_event" />
        </details>
      )}
    </>
  );
}
