/** Who holds a vehicle, and taking it, taking it over or letting it go. */
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { ControlAction, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useConsole, useMay } from "../live/context";
import { vehicleId } from "../live/store";
import { Action, Confirm, Dialog, useBusy } from "../parts/controls";
import { errorWords, useNotices } from "../parts/notices";

/** Asks for whom; a name that nobody has keeps the question open. */
function HandOver({ vehicle, onClose }: { vehicle: Vehicle; onClose: () => void }) {
  const { t } = useWords();
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail || title);
  });
  const give = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const to = String(new FormData(event.currentTarget).get("to")).trim();
    setProblem(null);
    run(async () => {
      await api.control(vehicleId(vehicle), "hand_over", to);
      onClose();
    });
  };
  return (
    <Dialog title={t("control.hand_over.ask", { name: vehicle.properties.name })} onClose={onClose}>
      <form onSubmit={give}>
        <label>
          {t("control.hand_over.to")}
          <input name="to" required autoFocus autoComplete="off" />
        </label>
        {problem !== null && (
          <p className="problem" role="alert">
            <Said text={problem} />
          </p>
        )}
        <div className="row end">
          <Action onClick={onClose}>{t("action.cancel")}</Action>
          <Action type="submit" look="primary" busy={busy}>
            {t("control.hand_over")}
          </Action>
        </div>
      </form>
    </Dialog>
  );
}

export function VehicleControl({ vehicle }: { vehicle: Vehicle }) {
  const { t } = useWords();
  const { fail } = useNotices();
  const { person } = useConsole();
  const may = useMay("operator");
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const [handing, setHanding] = useState(false);
  const { control, conflict, name, registered } = vehicle.properties;
  if (control === undefined || registered === false) return null;
  const holder = control.person;
  const action: ControlAction = holder === null ? "take" : holder === person.name ? "release" : "take_over";

  const change = async (): Promise<void> => {
    setBusy(true);
    try {
      await api.control(vehicleId(vehicle), action);
    } catch (error) {
      fail(error);
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className="row">
      <span>{holder === null ? t("control.free") : t("control.held", { name: holder })}</span>
      <Action
        blocked={may ? null : t("why.operator")}
        busy={busy}
        onClick={() => (action === "take_over" ? setAsking(true) : void change())}
      >
        {t(`control.${action}`)}
      </Action>
      {action === "release" && (
        <Action busy={busy} onClick={() => setHanding(true)}>
          {t("control.hand_over")}
        </Action>
      )}
      {handing && <HandOver vehicle={vehicle} onClose={() => setHanding(false)} />}
      {conflict && (
        <p className="answer failed" role="alert">
          {t("control.conflict", { other: conflict })}
        </p>
      )}
      {asking && (
        <Confirm
          title={t("control.take_over.ask", { name, holder: holder ?? "" })}
          text={t("control.take_over.warning")}
          action={t("control.take_over")}
          danger
          onConfirm={() => void change()}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}
