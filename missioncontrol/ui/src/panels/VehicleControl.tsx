/** Who holds a vehicle, and taking it, taking it over or letting it go. */
import { useState } from "react";
import { api } from "../api/client";
import type { ControlAction, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { useConsole, useMay } from "../live/context";
import { vehicleId } from "../live/store";
import { Action, Confirm, Dialog } from "../parts/controls";
import { useNotices } from "../parts/notices";

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

  const change = async (wanted: ControlAction = action, to?: string): Promise<void> => {
    setBusy(true);
    try {
      await api.control(vehicleId(vehicle), wanted, to);
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
      {handing && (
        <Dialog title={t("control.hand_over.ask", { name })} onClose={() => setHanding(false)}>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              setHanding(false);
              void change("hand_over", String(new FormData(event.currentTarget).get("to")));
            }}
          >
            <label>
              {t("control.hand_over.to")}
              <input name="to" required autoFocus autoComplete="off" />
            </label>
            <div className="row end">
              <Action onClick={() => setHanding(false)}>{t("action.cancel")}</Action>
              <Action type="submit" look="primary">
                {t("control.hand_over")}
              </Action>
            </div>
          </form>
        </Dialog>
      )}
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
