/** The list of vehicles, and the chosen one in full with its commands. */
import type { Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { vehicleId } from "../live/store";
import { orderOf } from "../map/overlay";
import { Bar } from "../parts/controls";
import { VehicleIcon } from "../parts/icons";
import { VehicleCommands } from "./VehicleCommands";
import { VehicleControl } from "./VehicleControl";
import { VehicleFacts } from "./VehicleFacts";
import { VehicleHealth } from "./VehicleHealth";

const LOW_BATTERY_PERCENT = 25;

interface VehiclesProps {
  selected: number | null;
  onSelect: (sysid: number | null) => void;
  onCentre: (vehicle: Vehicle) => void;
}

export function batteryColour(percent: number): string {
  return percent < LOW_BATTERY_PERCENT ? "var(--bad)" : percent < 2 * LOW_BATTERY_PERCENT ? "var(--warn)" : "var(--good)";
}

function Row({ vehicle, order }: { vehicle: Vehicle; order: number }) {
  const { t, term, number } = useWords();
  const { properties: p } = vehicle;
  const battery = p.battery_percent ?? null;
  return (
    <>
      <span className="vehicle-name">
        <VehicleIcon order={order} heading={p.heading_deg ?? 0} />
        <b>{p.name}</b>
        {p.registered === false && <span className="state vehicle-stale">{t("vehicle.stranger")}</span>}
        {p.link === "no uplink" && <span className="state vehicle-lost">{term("link", p.link)}</span>}
        <span className={`state vehicle-${p.state}`}>{term("vehicle_state", p.state)}</span>
      </span>
      <span className="vehicle-numbers">
        <span title={t("vehicle.mode")}>{p.mode ?? "–"}</span>
        <span title={t("vehicle.height")}>{t("unit.m", { n: number(p.height_agl_m ?? p.relative_altitude_m) })}</span>
        <span title={t("vehicle.speed")}>{t("unit.m_s", { n: number(p.ground_speed_m_s, 1) })}</span>
        <span title={t("vehicle.battery")} style={{ color: battery === null ? undefined : batteryColour(battery) }}>
          {t("unit.percent", { n: number(battery) })}
        </span>
      </span>
      {p.mission?.total ? (
        <Bar fraction={(p.mission.item ?? 0) / p.mission.total} label={t("vehicle.mission")} />
      ) : null}
    </>
  );
}

export function Vehicles({ selected, onSelect, onCentre }: VehiclesProps) {
  const { t } = useWords();
  const { vehicles, loaded } = useLive();
  if (vehicles.size === 0) {
    return <p className="empty">{loaded ? t("vehicles.none") : t("status.loading")}</p>;
  }
  return (
    <ul className="cards">
      {orderOf(vehicles).map((sysid, order) => {
        const vehicle = vehicles.get(sysid);
        if (vehicle === undefined) return null;
        const open = vehicleId(vehicle) === selected;
        return (
          <li key={sysid} className={open ? "card open" : "card"} data-vehicle={sysid}>
            <button
              type="button"
              className="card-head"
              aria-expanded={open}
              onClick={() => {
                onSelect(open ? null : sysid);
                if (!open) onCentre(vehicle);
              }}
            >
              <Row vehicle={vehicle} order={order} />
            </button>
            {open && (
              <div className="card-body">
                <VehicleControl vehicle={vehicle} />
                <VehicleCommands vehicle={vehicle} />
                <VehicleFacts vehicle={vehicle} />
                <VehicleHealth vehicle={vehicle} />
              </div>
            )}
          </li>
        );
      })}
    </ul>
  );
}
