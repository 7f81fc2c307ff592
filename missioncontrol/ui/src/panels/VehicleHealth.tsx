/** How the airframe of a vehicle is: its use, its battery, its maintenance. */
import { useCallback, useEffect, useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { Health, MaintenanceWork, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { sentence } from "../i18n/sentences";
import { useMay } from "../live/context";
import { vehicleId } from "../live/store";
import { Action, Dialog, useBusy } from "../parts/controls";
import { Facts, type Fact } from "../parts/Facts";
import { useNotices } from "../parts/notices";

const WORKS: readonly MaintenanceWork[] = ["service", "battery"];
const MILLI = 1000;

function HealthFacts({ health }: { health: Health }) {
  const { t, number, distance, dateTime } = useWords();
  const { battery, maintenance } = health;
  const { resistance, trend } = battery;
  const ohms = (ohm: number, sigma: number): string =>
    t("health.resistance_value", { n: number(ohm * MILLI, 1), sigma: number(sigma * MILLI, 1) });
  const last = maintenance.last;
  const facts: Fact[] = [
    [
      t("health.flown"),
      t("health.flown_value", { hours: number(health.hours, 1), distance: distance(health.distance_m), n: number(health.flights) }),
    ],
    [t("health.cycles"), number(battery.cycles, 1)],
    [t("health.resistance"), resistance === null ? t("health.unknown") : ohms(resistance.ohm, resistance.sigma_ohm)],
    [
      t("health.trend"),
      trend === null ? t("health.unknown") : ohms(10 * trend.ohm_per_cycle, 10 * trend.sigma_ohm_per_cycle),
      battery.rising ? t("health.rising") : undefined,
    ],
    [
      t("health.since"),
      t("health.since_value", {
        hours: number(maintenance.hours, 1),
        hours_limit: number(maintenance.hours_limit, Number.isInteger(maintenance.hours_limit) ? 0 : 1),
        cycles: number(maintenance.cycles, 1),
        cycles_limit: number(maintenance.cycles_limit),
      }),
      maintenance.due ? t("health.due") : undefined,
    ],
    [t("health.last"), last === null ? t("health.never") : `${dateTime(last.utc)}, ${last.person}`],
  ];
  return (
    <Facts facts={facts} />
  );
}

function MaintenanceDone({ name, onDone }: { name: string; onDone: (work: MaintenanceWork, note: string) => void }) {
  const { t, term } = useWords();
  const may = useMay("operator", "administrator");
  const [asking, setAsking] = useState(false);
  const [work, setWork] = useState<MaintenanceWork>("service");
  const [note, setNote] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setAsking(false);
    onDone(work, note.trim());
    setNote("");
  };
  return (
    <div className="row">
      <Action blocked={may ? null : t("why.maintenance")} onClick={() => setAsking(true)}>
        {t("health.done")}
      </Action>
      {asking && (
        <Dialog title={t("health.done_title", { name })} onClose={() => setAsking(false)}>
          <form onSubmit={submit}>
            <label>
              {t("health.work")}
              <select value={work} onChange={(event) => setWork(event.target.value as MaintenanceWork)}>
                {WORKS.map((each) => (
                  <option key={each} value={each}>
                    {term("health_work", each)}
                  </option>
                ))}
              </select>
            </label>
            <label>
              {t("health.note")}
              <input value={note} onChange={(event) => setNote(event.target.value)} maxLength={2000} autoFocus />
            </label>
            <div className="row end">
              <Action onClick={() => setAsking(false)}>{t("action.cancel")}</Action>
              <Action type="submit" look="primary">
                {t("health.done")}
              </Action>
            </div>
          </form>
        </Dialog>
      )}
    </div>
  );
}

export function VehicleHealth({ vehicle }: { vehicle: Vehicle }) {
  const { t, term, dateTime } = useWords();
  const { fail, tell } = useNotices();
  const [, run] = useBusy(fail);
  const [health, setHealth] = useState<Health | null>(null);
  const { name, registered, state } = vehicle.properties;
  const sysid = vehicleId(vehicle);
  const known = registered !== false;
  const load = useCallback(() => {
    if (known) api.health(sysid).then(setHealth, fail);
  }, [known, sysid, fail]);
  useEffect(load, [load, state]);
  if (health === null) return null;
  const done = (work: MaintenanceWork, note: string): void =>
    run(async () => {
      setHealth(await api.maintained(sysid, work, note));
      tell("good", name, t("health.done_saved"));
    });
  return (
    <section data-health={sysid}>
      <h4>{t("health.title")}</h4>
      <HealthFacts health={health} />
      {health.alarms.length > 0 && (
        <>
          <h4>{t("health.alarms")}</h4>
          <ol className="texts">
            {health.alarms
              .slice(-6)
              .reverse()
              .map((alarm, index) => (
                <li key={index} title={sentence(alarm.text)}>
                  {dateTime(alarm.utc)} {term("health_alarm", alarm.kind)}
                </li>
              ))}
          </ol>
        </>
      )}
      <MaintenanceDone name={name} onDone={done} />
    </section>
  );
}
