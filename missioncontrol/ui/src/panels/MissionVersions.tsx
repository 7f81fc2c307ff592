/** The versions of a mission's plan, what differs between two, and its flight in the simulator before anybody flies it. */
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Mission, PlanVersion, SimulatedFlight } from "../api/types";
import { useWords } from "../i18n";
import { useLive, useMay } from "../live/context";
import { Action, Bar, useBusy } from "../parts/controls";
import { Facts } from "../parts/Facts";
import { useNotices } from "../parts/notices";

const LOOK_AGAIN_MS = 1000;
const UNDER_WAY = new Set(["waiting", "flying"]);

function Difference({ mission, versions }: { mission: string; versions: readonly PlanVersion[] }) {
  const { t } = useWords();
  const { fail } = useNotices();
  const last = versions.at(-1)?.version ?? 1;
  const [before, setBefore] = useState(last - 1);
  const [words, setWords] = useState<string[]>([]);
  useEffect(() => {
    api.difference(mission, before, last).then((found) => setWords(found.words), fail);
  }, [mission, before, last, fail]);
  return (
    <>
      <label>
        {t("version.against", { n: last })}
        <select value={before} onChange={(event) => setBefore(Number(event.target.value))}>
          {versions.slice(0, -1).map(({ version }) => (
            <option key={version} value={version}>
              {t("version.one", { n: version })}
            </option>
          ))}
        </select>
      </label>
      <ul className="texts">
        {words.map((word) => (
          <li key={word}>{word}</li>
        ))}
      </ul>
    </>
  );
}

export function MissionVersions({ mission }: { mission: Mission }) {
  const { t, dateTime, distance, duration } = useWords();
  const { fail } = useNotices();
  const [versions, setVersions] = useState<PlanVersion[]>([]);
  useEffect(() => {
    api.versions(mission.id).then(setVersions, fail);
  }, [mission.id, mission.plan_hash, fail]);
  if (versions.length < 2) return null;
  return (
    <details>
      <summary>{t("version.title", { n: versions.length })}</summary>
      <ol className="history">
        {versions.map((version) => (
          <li key={version.version}>
            <time>{dateTime(version.created_utc)}</time> <b>{t("version.one", { n: version.version })}</b>{" "}
            {distance(version.path_m)} · {duration(version.duration_s)}
            {version.approved && <span className="state mission-approved">{t("mission_state.approved")}</span>}
          </li>
        ))}
      </ol>
      <Difference key={versions.length} mission={mission.id} versions={versions} />
    </details>
  );
}

function Figures({ simulated }: { simulated: NonNullable<SimulatedFlight["result"]> }) {
  const { t, number, duration } = useWords();
  const failed = simulated.flights.flatMap((flight) => flight.failed);
  return (
    <>
      <Facts
        facts={[
          [t("plan.duration"), duration(simulated.duration_s)],
          [t("plan.energy"), t("unit.wh", { n: number(simulated.energy_wh) })],
          [t("plan.photos"), `${number(simulated.photos)} / ${number(simulated.planned_photos)}`],
          [t("simulated.wind"), t("unit.m_s", { n: number(simulated.wind_m_s, 1) })],
          ...(simulated.seen_share == null
            ? []
            : [[t("simulated.seen"), t("unit.percent", { n: number(100 * simulated.seen_share, 1) })] as const]),
        ]}
      />
      {failed.map((text) => (
        <p key={text} className="problem">
          {text}
        </p>
      ))}
      <ul className="texts">
        {simulated.words.map((word) => (
          <li key={word}>{word}</li>
        ))}
      </ul>
    </>
  );
}

/** The plan as flown in the simulator; asked for again while that goes on. */
export function MissionSimulation({ mission }: { mission: Mission }) {
  const { t, number } = useWords();
  const { fail } = useNotices();
  const { connection } = useLive();
  const may = useMay("operator", "administrator");
  const [busy, run] = useBusy(fail);
  const [flight, setFlight] = useState<SimulatedFlight | null>(null);
  const [asked, setAsked] = useState(0);
  const going = flight !== null && UNDER_WAY.has(flight.state);
  useEffect(() => {
    if (connection !== "open") return;
    api.simulation(mission.id).then(setFlight, fail);
  }, [mission.id, mission.plan_hash, asked, connection, fail]);
  useEffect(() => {
    if (!going) return;
    const timer = window.setTimeout(() => setAsked((n) => n + 1), LOOK_AGAIN_MS);
    return () => window.clearTimeout(timer);
  }, [going, flight]);
  return (
    <details>
      <summary>{t("simulated.title")}</summary>
      {going ? (
        <>
          <p className="hint">
            {t("simulated.going")} {t("unit.percent", { n: number(100 * flight.progress) })}
          </p>
          <Bar fraction={flight.progress} label={t("simulated.going")} />
        </>
      ) : (
        <div className="row">
          <Action
            busy={busy}
            blocked={may ? null : t("why.maintenance")}
            onClick={() => run(async () => setFlight(await api.simulate(mission.id)))}
          >
            {t(flight?.result ? "simulated.again" : "simulated.fly")}
          </Action>
        </div>
      )}
      {flight?.error && <p className="problem">{flight.error}</p>}
      {!going && flight?.result && <Figures simulated={flight.result} />}
    </details>
  );
}
