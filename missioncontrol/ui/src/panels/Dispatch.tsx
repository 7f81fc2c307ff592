/** Sends the vehicle that sees a place soonest: the ranking first, then a mission that people approve and launch. */
import type { Position } from "geojson";
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Mission, Ranked } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useConsole, useMay } from "../live/context";
import { INCIDENT_KINDS } from "../map/palette";
import { Action, Dialog, useBusy } from "../parts/controls";
import { errorWords } from "../parts/notices";

export interface Call {
  place: Position;
  kind: string;
}

interface DispatchProps {
  call: Call;
  onMission: (mission: Mission) => void;
  /** Who saw the place, instead. */
  onArchive: () => void;
  onClose: () => void;
}

function RankedRow({ ranked }: { ranked: Ranked }) {
  const { t, number, duration } = useWords();
  const facts = [
    ranked.first_picture_s == null ? null : t("dispatch.first_picture", { time: duration(ranked.first_picture_s) }),
    ranked.gsd_cm == null ? null : `${number(ranked.gsd_cm, 1)} ${t("unit.name.cm_px")}`,
    ranked.airborne ? t("dispatch.airborne") : null,
  ];
  return (
    <li className={ranked.fit ? "answer accepted" : "answer denied"}>
      <b>{ranked.name}</b> <span className="dim">{facts.filter(Boolean).join(" · ")}</span>
      {ranked.against.map((reason) => (
        <p key={reason}><Said text={reason} /></p>
      ))}
    </li>
  );
}

export function Dispatch({ call, onMission, onArchive, onClose }: DispatchProps) {
  const { t, term, number } = useWords();
  const { store } = useConsole();
  const may = useMay("operator", "administrator");
  const [kind, setKind] = useState(call.kind);
  const [ranking, setRanking] = useState<Ranked[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail || title);
  });
  const ask = (plan: boolean): void =>
    run(async () => {
      setProblem(null);
      const answer = await api.dispatch({ place: { type: "Point", coordinates: call.place }, kind, plan });
      setRanking(answer.ranking);
      if (answer.text !== "") setProblem(answer.text);
      if (answer.mission === null) return;
      store.putMission(answer.mission);
      onMission(answer.mission);
    });
  useEffect(() => {
    if (may) ask(false);
  }, [kind]);
  const [lon, lat] = call.place;
  const blocked = !may ? t("why.maintenance") : ranking?.some((one) => one.fit && !one.airborne) ? null : t("dispatch.nobody");
  return (
    <Dialog title={t("dispatch.title")} onClose={onClose}>
      <p className="dim">
        {number(lon, 6)}, {number(lat, 6)}
      </p>
      <label>
        {t("dispatch.kind")}
        <select value={kind} onChange={(event) => setKind(event.target.value)}>
          {INCIDENT_KINDS.map((each) => (
            <option key={each} value={each}>
              {term("kind", each)}
            </option>
          ))}
        </select>
      </label>
      {problem !== null && (
        <p className="problem" role="alert">
          <Said text={problem} />
        </p>
      )}
      <ol className="choices">
        {ranking?.map((one) => (
          <RankedRow key={one.sysid} ranked={one} />
        ))}
      </ol>
      <div className="row end">
        <Action onClick={onArchive}>{t("archive.ask")}</Action>
        <Action onClick={onClose}>{t("action.cancel")}</Action>
        <Action look="primary" busy={busy} blocked={blocked} onClick={() => ask(true)}>
          {t("dispatch.plan")}
        </Action>
      </div>
    </Dialog>
  );
}
