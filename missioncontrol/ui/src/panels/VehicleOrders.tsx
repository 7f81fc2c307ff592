/** Orders that take a number, one picture, and the emergency stop: what is not wanted every minute. */
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { CommandRequest, CommandResult, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { vehicleId } from "../live/store";
import { Action, Confirm } from "../parts/controls";

type Send = (order: CommandRequest) => Promise<CommandResult | null>;

interface Measure {
  name: "speed" | "height" | "item" | "gimbal";
  min: number;
  max: number;
  start: number;
  order: (value: number) => CommandRequest;
}

const MEASURES: readonly Measure[] = [
  { name: "speed", min: 1, max: 30, start: 8, order: (n) => ({ command: "change_speed", speed_m_s: n }) },
  {
    name: "height",
    min: 2,
    max: 500,
    start: 40,
    order: (n) => ({ command: "change_height", altitude: { value_m: n, datum: "HOME" } }),
  },
  { name: "item", min: 0, max: 2000, start: 1, order: (n) => ({ command: "jump", item: n }) },
  { name: "gimbal", min: -90, max: 30, start: -90, order: (n) => ({ command: "gimbal", pitch_deg: n }) },
];

function NumberOrder({ measure, blocked, send }: { measure: Measure; blocked: string | null; send: Send }) {
  const { t } = useWords();
  const [value, setValue] = useState(measure.start);
  const give = (event: FormEvent): void => {
    event.preventDefault();
    if (blocked === null) void send(measure.order(value));
  };
  return (
    <form className="order" onSubmit={give}>
      <label>
        {t(`order.${measure.name}`)}
        <input
          type="number"
          required
          min={measure.min}
          max={measure.max}
          value={value}
          onChange={(event) => setValue(event.target.valueAsNumber)}
        />
      </label>
      <Action type="submit" blocked={blocked}>
        {t("order.give")}
      </Action>
    </form>
  );
}

export function VehicleOrders({ vehicle, blocked, send }: { vehicle: Vehicle; blocked: string | null; send: Send }) {
  const { t } = useWords();
  const [asked, setAsked] = useState<CommandResult | null>(null);
  const stop = async (): Promise<void> => setAsked(await send({ command: "emergency_stop" }));
  return (
    <details className="orders">
      <summary>{t("order.more")}</summary>
      {MEASURES.map((measure) => (
        <NumberOrder key={measure.name} measure={measure} blocked={blocked} send={send} />
      ))}
      <div className="row">
        <Action blocked={blocked} onClick={() => void send({ command: "trigger_camera" })}>
          {t("order.picture")}
        </Action>
        <Action blocked={blocked} look="danger" onClick={() => void stop()}>
          {t("order.stop")}
        </Action>
      </div>
      {asked?.confirmation != null && (
        <Confirm
          title={t("order.stop.ask", { name: vehicle.properties.name })}
          text={t("order.stop.warning")}
          action={t("order.stop")}
          danger
          onConfirm={() => void send({ command: "emergency_stop", confirmation: asked.confirmation ?? "" })}
          onClose={() => setAsked(null)}
        />
      )}
    </details>
  );
}

/** For the commands that are sent to a vehicle. */
export const sendTo = (vehicle: Vehicle, order: CommandRequest): Promise<CommandResult> =>
  api.command(vehicleId(vehicle), order);
