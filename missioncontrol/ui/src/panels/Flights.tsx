/** What was flown: each flight in figures, and as files to take away. */
import { useEffect, useState } from "react";
import { api, flightFile } from "../api/client";
import type { Flight, FlightFormat, FlightSummary } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useLive } from "../live/context";
import { Facts, type Fact } from "../parts/Facts";
import { useNotices } from "../parts/notices";

const FORMATS: readonly FlightFormat[] = ["tlog", "geojson", "kml", "csv"];
const LOOK_AGAIN_MS = 5000;
const UNDER_WAY = ["flying", "returning"];

function Figures({ summary }: { summary: FlightSummary }) {
  const { t, term, number, duration, distance, time } = useWords();
  if (summary.problem !== "") return <p className="problem">{summary.problem}</p>;
  const facts: Fact[] = [
    [t("flight.duration"), duration(summary.duration_s)],
    [t("flight.distance"), distance(summary.distance_m)],
    [t("flight.height"), t("unit.m", { n: number(summary.most_relative_m, 1) })],
    [t("flight.speed"), t("unit.m_s", { n: number(summary.most_speed_m_s, 1) })],
    [t("flight.battery"), t("unit.percent", { n: number(summary.battery_percent) })],
    [t("plan.energy"), t("unit.wh", { n: number(summary.energy_wh, 1) })],
    [t("flight.loss"), t("unit.percent", { n: number(summary.worst_loss_percent, 1) })],
    [t("flight.vibration"), t("unit.m_s2", { n: number(summary.vibration_m_s2, 1) })],
  ];
  const heard = [
    ...(summary.alarms ?? []).map((alarm) => ({ utc_s: alarm.utc_s, text: term("health_alarm", alarm.kind) })),
    ...(summary.warnings ?? []),
  ];
  return (
    <>
      <Facts facts={facts} />
      {heard.length > 0 && (
        <>
          <h4>{t("flight.alarms")}</h4>
          <ol className="texts">
            {heard.map((each, index) => (
              <li key={index}>
                {time(each.utc_s)} {each.text}
              </li>
            ))}
          </ol>
        </>
      )}
    </>
  );
}

function FlightBody({ flight }: { flight: Flight }) {
  const { t } = useWords();
  const { fail } = useNotices();
  const [whole, setWhole] = useState<Flight>(flight);
  useEffect(() => {
    api.flight(flight.id).then(setWhole, fail);
  }, [flight.id, flight.stage, flight.summary === null, fail]);
  const over = flight.ended_utc !== null;
  return (
    <div className="card-body">
      {whole.text !== "" && <p><Said text={whole.text} /></p>}
      {whole.summary !== null ? <Figures summary={whole.summary} /> : over && <p className="dim">{t("flight.reading")}</p>}
      <div className="row">
        <span className="dim">{t("flight.download")}:</span>
        {FORMATS.map((format) => (
          <a key={format} href={flightFile(flight.id, format)} download>
            {format === "tlog" ? ".tlog" : format === "geojson" ? "GeoJSON" : format.toUpperCase()}
          </a>
        ))}
      </div>
    </div>
  );
}

export function Flights() {
  const { t, term, dateTime, distance, duration } = useWords();
  const { vehicles, loaded } = useLive();
  const { fail } = useNotices();
  const [flights, setFlights] = useState<Flight[] | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  useEffect(() => {
    const load = (): void => {
      api.flights().then(setFlights, fail);
    };
    load();
    const timer = window.setInterval(load, LOOK_AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [fail]);
  if (flights === null || flights.length === 0) {
    return <p className="empty">{loaded && flights !== null ? t("flights.none") : t("status.loading")}</p>;
  }
  return (
    <ul className="cards">
      {flights.map((flight) => (
        <li key={flight.id} className={flight.id === open ? "card open" : "card"} data-flight={flight.id}>
          <button
            type="button"
            className="card-head"
            aria-expanded={flight.id === open}
            onClick={() => setOpen(flight.id === open ? null : flight.id)}
          >
            <span className="vehicle-name">
              <b>{vehicles.get(flight.sysid)?.properties.name ?? (flight.registration || String(flight.sysid))}</b>
              <span className={`state mission-${UNDER_WAY.includes(flight.stage) ? "flying" : flight.stage}`}>
                {term("stage", flight.stage)}
              </span>
            </span>
            <span className="vehicle-numbers">
              <span>{dateTime(flight.started_utc)}</span>
              <span>{duration(flight.summary?.duration_s)}</span>
              <span>{distance(flight.path_m)}</span>
            </span>
          </button>
          {flight.id === open && <FlightBody flight={flight} />}
        </li>
      ))}
    </ul>
  );
}
