/** Alarms of the service, newest first, until a person puts them away. */
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useConsole, useLive } from "../live/context";

export function Alarms() {
  const { t, term, time } = useWords();
  const { store } = useConsole();
  const { alarms } = useLive();
  return (
    <details className="alarms">
      <summary className={alarms.length > 0 ? "ringing" : ""}>
        {t("header.alarms")} <b>{alarms.length}</b>
      </summary>
      <div className="drop">
        {alarms.length === 0 && <p className="empty">{t("alarms.none")}</p>}
        <ul>
          {alarms.map((alarm) => (
            <li key={alarm.id} className={`severity-${alarm.severity}`}>
              <time>{time(alarm.utc ?? alarm.received_ms / 1000)}</time>
              <span>
                <b>{term("severity", alarm.severity)}</b> <Said text={alarm.text} />
              </span>
              <button
                type="button"
                className="plain"
                aria-label={t("action.dismiss")}
                onClick={() => store.dropAlarm(alarm.id)}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
        {alarms.length > 1 && (
          <button type="button" onClick={() => store.clearAlarms()}>
            {t("alarms.clear")}
          </button>
        )}
      </div>
    </details>
  );
}
