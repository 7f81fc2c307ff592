/** What the flights of a mission really saw: the share, a map, a signed statement, and what to fly again. */
import { useEffect, useState } from "react";
import { api, coveragePicture } from "../api/client";
import type { Coverage, Mission, Question, Statement } from "../api/types";
import { useWords } from "../i18n";
import { useConsole, useMay } from "../live/context";
import type { Seen } from "../map/MapView";
import { Action, Bar, useBusy } from "../parts/controls";
import { Facts, type Fact } from "../parts/Facts";
import { useNotices } from "../parts/notices";
import { NumberField } from "./PatternFields";

const KINDS = ["dump", "unauthorized_construction", "fire"];
const FIRST = { kind: "dump", area_m2: "4", percent: "95" };

/** Patterns that are to see the whole of something. */
const SEEING = new Set(["survey", "corridor"]);
const FLOWN = new Set(["flying", "done", "failed", "aborted"]);

export const mayBeSeen = (mission: Mission): boolean =>
  mission.request !== undefined &&
  SEEING.has(mission.request.kind) &&
  (FLOWN.has(mission.state) || (mission.state === "approved" && Boolean(mission.reason)));

function Figures({ coverage }: { coverage: Coverage }) {
  const { t, number } = useWords();
  const { summary } = coverage;
  const percent = (share: number): string => t("unit.percent", { n: number(100 * share, 1) });
  const hectares = (m2: number): string => t("unit.ha", { n: number(m2 / 10_000, 2) });
  const facts: Fact[] = [
    [t("coverage.share"), percent(summary.share)],
    [t("coverage.at_all"), percent(summary.seen_at_all)],
    [t("coverage.seen_area"), `${hectares(summary.seen_m2)} / ${hectares(summary.ground_m2)}`],
    [t("coverage.built"), hectares(summary.built_m2)],
    [t("coverage.frames"), number(summary.frames)],
  ];
  if (summary.gsd_cm !== null) {
    const { min, median, max } = summary.gsd_cm;
    facts.push([t("plan.gsd_range"), `${[min, median, max].map((n) => number(n, 1)).join(" / ")} ${t("unit.name.cm_px")}`]);
  }
  return (
    <>
      <Facts facts={facts} />
      {summary.notes.map((note) => (
        <p key={note} className="hint">
          {note}
        </p>
      ))}
    </>
  );
}

function Stated({ statement, name }: { statement: Statement; name: string }) {
  const { t, language } = useWords();
  const file = `data:application/json,${encodeURIComponent(JSON.stringify(statement))}`;
  return (
    <div className="answer accepted">
      <p>{statement.statement.words[language]}</p>
      <small>
        {t("coverage.signed", { algorithm: statement.signature.algorithm, key: statement.signature.public_key.slice(0, 16) })}{" "}
        <a href={file} download={name}>
          {t("flight.download")}
        </a>
      </small>
    </div>
  );
}

interface MissionCoverageProps {
  mission: Mission;
  onSeen: (seen: Seen | null) => void;
}

export function MissionCoverage({ mission, onSeen }: MissionCoverageProps) {
  const { t, term, number } = useWords();
  const { store } = useConsole();
  const { fail, tell } = useNotices();
  const may = useMay("operator", "administrator");
  const [asked, setAsked] = useState(FIRST);
  const [coverage, setCoverage] = useState<Coverage | null>(null);
  const [statement, setStatement] = useState<Statement | null>(null);
  const [busy, run] = useBusy(fail);
  useEffect(() => () => onSeen(null), [mission.id, onSeen]);

  const question: Question = { kind: asked.kind, area_m2: Number(asked.area_m2), probability: Number(asked.percent) / 100 };
  const change = (part: Partial<typeof FIRST>): void => {
    setAsked({ ...asked, ...part });
    setCoverage(null);
    setStatement(null);
    onSeen(null);
  };
  const look = (): void =>
    run(async () => {
      const found = await api.coverage(mission.id, question);
      setCoverage(found);
      onSeen({ url: coveragePicture(mission.id, question), corners: found.picture.corners });
    });
  const state = (): void => run(async () => setStatement(await api.stateCoverage(mission.id, question)));
  const again = (): void =>
    run(async () => {
      const { missions } = await api.refly(mission.id, question);
      missions.forEach((draft) => store.putMission(draft));
      tell("good", t("coverage.drafts", { n: missions.length }), missions.map((draft) => draft.name).join("; "));
    });
  const blocked = may ? null : t("why.maintenance");

  return (
    <details className="coverage">
      <summary>{t("coverage.title")}</summary>
      <div className="grid2">
        <label>
          {t("coverage.kind")}
          <select value={asked.kind} onChange={(event) => change({ kind: event.target.value })}>
            {KINDS.map((kind) => (
              <option key={kind} value={kind}>
                {term("kind", kind)}
              </option>
            ))}
          </select>
        </label>
        <NumberField
          label={t("coverage.size")}
          unit={t("unit.name.m2")}
          value={asked.area_m2}
          onChange={(area_m2) => change({ area_m2 })}
        />
        <NumberField
          label={t("coverage.probability")}
          unit={t("unit.name.percent")}
          value={asked.percent}
          onChange={(percent) => change({ percent })}
        />
      </div>
      <div className="row">
        <Action look={coverage === null ? "primary" : "normal"} busy={busy} onClick={look}>
          {t("coverage.show")}
        </Action>
        {coverage !== null && (
          <>
            <Action busy={busy} blocked={blocked} onClick={state}>
              {t("coverage.state")}
            </Action>
            {coverage.features.length > 0 && (
              <Action busy={busy} blocked={blocked} onClick={again}>
                {t("coverage.again")}
              </Action>
            )}
          </>
        )}
      </div>
      {coverage !== null && (
        <>
          <Bar fraction={coverage.summary.share} colour="var(--good)" label={t("coverage.share")} />
          <Figures coverage={coverage} />
        </>
      )}
      {statement !== null && (
        <Stated statement={statement} name={`coverage-${mission.id}-${asked.kind}-${number(question.area_m2)}.json`} />
      )}
    </details>
  );
}
