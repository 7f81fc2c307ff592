/** A person's judgement of an incident: confirm, or reject with a reason. */
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { Incident } from "../api/types";
import { useWords } from "../i18n";
import { useConsole, useMay } from "../live/context";
import { incidentId } from "../live/store";
import { standingOf } from "../map/palette";
import { Action, Dialog, useBusy } from "../parts/controls";
import { useNotices } from "../parts/notices";

export function Review({ incident }: { incident: Incident }) {
  const { t, term, time } = useWords();
  const { store } = useConsole();
  const { fail, tell } = useNotices();
  const may = useMay("inspector");
  const [busy, run] = useBusy(fail);
  const [rejecting, setRejecting] = useState(false);
  const [reason, setReason] = useState("");
  const id = incidentId(incident);
  const open = standingOf(incident.properties.state) === "open";
  if (!open && !rejecting) return null;
  const last = incident.properties.history?.at(-1);
  const blocked = may ? null : t("why.inspector");

  const judge = (work: () => Promise<Incident>): void =>
    run(async () => {
      const updated = await work();
      store.putIncident(updated);
      store.looked(id);
      tell("good", term("kind", updated.properties.kind), term("incident_state", updated.properties.state));
    });
  const reject = (event: FormEvent): void => {
    event.preventDefault();
    if (!open || reason.trim() === "") return;
    setRejecting(false);
    judge(() => api.reject(id, reason.trim()));
  };

  return (
    <div className="row">
      {open && (
        <>
          <Action look="primary" blocked={blocked} busy={busy} onClick={() => judge(() => api.confirm(id, ""))}>
            {t("incident.confirm")}
          </Action>
          <Action look="danger" blocked={blocked} busy={busy} onClick={() => setRejecting(true)}>
            {t("incident.reject")}
          </Action>
        </>
      )}
      {rejecting && (
        <Dialog title={t("incident.reject_title", { kind: term("kind", incident.properties.kind) })} onClose={() => setRejecting(false)}>
          <form onSubmit={reject}>
            <label>
              {t("incident.reject_reason")}
              <input value={reason} onChange={(event) => setReason(event.target.value)} autoFocus />
            </label>
            {!open && (
              <p className="warning" role="alert">
                {t("incident.decided", {
                  state: term("incident_state", incident.properties.state),
                  person: last?.person ?? "–",
                  time: time(last?.utc),
                })}
              </p>
            )}
            <div className="row end">
              <Action onClick={() => setRejecting(false)}>{t("action.cancel")}</Action>
              <Action type="submit" look="danger" blocked={!open ? term("incident_state", incident.properties.state) : reason.trim() === "" ? t("why.reason") : null}>
                {t("incident.reject")}
              </Action>
            </div>
          </form>
        </Dialog>
      )}
    </div>
  );
}
