/** The figures of a plan: the whole, then each sortie of each vehicle. */
import { useState } from "react";
import type { Plan, VehiclePlan } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useLive } from "../live/context";
import { lineOf, orderOf } from "../map/overlay";
import { vehicleColour } from "../map/palette";
import { Bar } from "../parts/controls";
import { Facts, type Fact } from "../parts/Facts";
import { VehicleIcon } from "../parts/icons";
import { Profile } from "./Profile";

const HIGH_USE_PERCENT = 80;

function Sortie({ part, several }: { part: VehiclePlan; several: boolean }) {
  const { t, number, duration, distance } = useWords();
  const { vehicles } = useLive();
  const order = orderOf(vehicles).indexOf(part.sysid);
  const [open, setOpen] = useState(false);
  const numbers = [distance(part.path_m), duration(part.duration_s)];
  if (part.delay_s) numbers.push(t("plan.delay", { time: duration(part.delay_s) }));
  return (
    <li>
      <button type="button" className="share" aria-expanded={open} title={t("profile.title")} onClick={() => setOpen(!open)}>
        <span className="vehicle-name">
          <VehicleIcon order={order} size={14} />
          <b>{vehicles.get(part.sysid)?.properties.name ?? part.sysid}</b>
          {several && <span className="state">{t("plan.sortie", { n: part.sortie ?? 1 })}</span>}
        </span>
        <span className="dim">{numbers.join(" · ")}</span>
        {part.battery_percent !== undefined && (
          <span className="battery-use" title={t("plan.battery_use")}>
            <Bar
              fraction={part.battery_percent / 100}
              colour={part.battery_percent > HIGH_USE_PERCENT ? "var(--bad)" : "var(--accent)"}
              label={t("plan.battery_use")}
            />
            {t("plan.battery", { n: number(part.battery_percent) })}
          </span>
        )}
      </button>
      {open && <Profile path={lineOf(part.path).coordinates} colour={vehicleColour(order)} />}
    </li>
  );
}

export function PlanNumbers({ plan }: { plan: Plan }) {
  const { t, number, duration, distance } = useWords();
  const figures: Fact[] = [
    [t("plan.length"), distance(plan.path_m)],
    [t("plan.duration"), duration(plan.duration_s)],
    [t("plan.photos"), number(plan.photos)],
    [t("plan.legs"), number(plan.lines)],
    [t("plan.sorties"), number(plan.sorties)],
    [t("plan.energy"), t("unit.wh", { n: number(plan.energy_wh) })],
    [
      t("plan.gsd_range"),
      `${number(plan.gsd_cm.min, 1)} / ${number(plan.gsd_cm.median, 1)} / ${number(plan.gsd_cm.max, 1)} ${t("unit.name.cm_px")}`,
    ],
  ];
  if (plan.area_m2 > 0) figures.push([t("plan.area"), t("unit.ha", { n: number(plan.area_m2 / 10_000, 2) })]);
  const several = new Set(plan.vehicles.map((part) => part.sysid)).size < plan.vehicles.length;
  const parts = [...plan.vehicles].sort((a, b) => a.sysid - b.sysid || (a.sortie ?? 1) - (b.sortie ?? 1));
  return (
    <div className="plan-numbers">
      <Facts facts={figures} />
      {plan.warnings?.map((warning) => (
        <p key={warning} className="warning" role="alert">
          <Said text={warning} />
        </p>
      ))}
      {several && <p className="hint">{t("plan.batteries")}</p>}
      <ul className="shares">
        {parts.map((part) => (
          <Sortie key={`${part.sysid} ${part.sortie ?? 1}`} part={part} several={several} />
        ))}
      </ul>
    </div>
  );
}
