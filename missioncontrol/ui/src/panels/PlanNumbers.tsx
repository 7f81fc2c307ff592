/** The figures of a plan: the whole, then each vehicle's share. */
import type { Plan } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { orderOf } from "../map/overlay";
import { Bar } from "../parts/controls";
import { Facts, type Fact } from "../parts/Facts";
import { VehicleIcon } from "../parts/icons";

const HIGH_USE_PERCENT = 80;

export function PlanNumbers({ plan }: { plan: Plan }) {
  const { t, number, duration, distance } = useWords();
  const { vehicles } = useLive();
  const order = orderOf(vehicles);
  const figures: Fact[] = [
    [t("plan.length"), distance(plan.path_m)],
    [t("plan.duration"), duration(plan.duration_s)],
    [t("plan.photos"), number(plan.photos)],
    [t("plan.lines"), number(plan.lines)],
    [t("plan.sorties"), number(plan.sorties)],
    [t("plan.area"), t("unit.ha", { n: number(plan.area_m2 / 10_000, 2) })],
    [t("plan.energy"), t("unit.wh", { n: number(plan.energy_wh) })],
    [
      t("plan.gsd_range"),
      `${number(plan.gsd_cm.min, 1)} / ${number(plan.gsd_cm.median, 1)} / ${number(plan.gsd_cm.max, 1)} ${t("unit.name.cm_px")}`,
    ],
  ];
  return (
    <div className="plan-numbers">
      <Facts facts={figures} />
      <ul className="shares">
        {plan.vehicles.map((share) => (
          <li key={share.sysid}>
            <span className="vehicle-name">
              <VehicleIcon order={order.indexOf(share.sysid)} size={14} />
              <b>{vehicles.get(share.sysid)?.properties.name ?? share.sysid}</b>
              <span className="dim">
                {distance(share.path_m)} · {duration(share.duration_s)}
              </span>
            </span>
            {share.battery_percent !== undefined && (
              <span className="battery-use" title={t("plan.battery_use")}>
                <Bar
                  fraction={share.battery_percent / 100}
                  colour={share.battery_percent > HIGH_USE_PERCENT ? "var(--bad)" : "var(--accent)"}
                  label={t("plan.battery_use")}
                />
                {t("plan.battery", { n: number(share.battery_percent) })}
              </span>
            )}
          </li>
        ))}
      </ul>
      {plan.warnings?.map((warning) => (
        <p key={warning} className="warning" role="alert">
          {warning}
        </p>
      ))}
    </div>
  );
}
