/** Who saw a place: the recorded clips that show it, and the chosen one at the moment that shows it best. */
import type { Position } from "geojson";
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { View } from "../api/views";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { Action, Dialog } from "../parts/controls";
import { errorWords } from "../parts/notices";

interface ArchiveProps {
  place: Position;
  onClose: () => void;
}

function ViewRow({ view, chosen, onChoose }: { view: View; chosen: boolean; onChoose: () => void }) {
  const { t, number, dateTime } = useWords();
  const { best, registration, sysid } = view.properties;
  const facts = [
    registration || `sysid ${sysid}`,
    best.gsd_m === null ? null : `${number(best.gsd_m * 100, 1)} ${t("unit.name.cm_px")}`,
    t("archive.angle", { n: number(best.off_nadir_deg) }),
  ];
  return (
    <li>
      <button type="button" className="view" data-view={view.id} aria-pressed={chosen} onClick={onChoose}>
        <b>{dateTime(best.utc)}</b> <span className="dim">{facts.filter(Boolean).join(" · ")}</span>
      </button>
    </li>
  );
}

/** The clip from the moment on; where the browser cannot play it, the picture of that moment. */
function Clip({ view }: { view: View }) {
  const { t } = useWords();
  const { best, video } = view.properties;
  const [plays, setPlays] = useState(true);
  const player = useRef<HTMLVideoElement | null>(null);
  useEffect(() => setPlays(true), [view.id]);
  if (!plays) return <img className="clip" src={best.frame} alt={t("archive.picture")} />;
  return (
    <video
      ref={player}
      key={view.id}
      className="clip"
      src={video}
      poster={best.frame}
      controls
      muted
      onLoadedMetadata={() => {
        if (player.current !== null) player.current.currentTime = best.time_s;
      }}
      onError={() => setPlays(false)}
    />
  );
}

export function Archive({ place, onClose }: ArchiveProps) {
  const { t, number } = useWords();
  const [views, setViews] = useState<View[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [chosen, setChosen] = useState<View | null>(null);
  const [lon, lat] = place as [number, number];
  useEffect(() => {
    let current = true;
    api.views(lon, lat).then(
      (answer) => {
        if (!current) return;
        setViews(answer.features);
        setChosen(answer.features[0] ?? null);
      },
      (error: unknown) => {
        const { title, detail } = errorWords(error, t);
        if (current) setProblem(detail || title);
      },
    );
    return () => {
      current = false;
    };
  }, [lon, lat, t]);
  return (
    <Dialog title={t("archive.title")} onClose={onClose}>
      <p className="dim">
        {number(lon, 6)}, {number(lat, 6)}
      </p>
      {problem !== null && (
        <p className="problem" role="alert">
          <Said text={problem} />
        </p>
      )}
      {views?.length === 0 && <p>{t("archive.nobody")}</p>}
      {chosen !== null && <Clip view={chosen} />}
      <ol className="views">
        {views?.map((view) => (
          <ViewRow key={view.id} view={view} chosen={view.id === chosen?.id} onChoose={() => setChosen(view)} />
        ))}
      </ol>
      <div className="row end">
        <Action onClick={onClose}>{t("action.close")}</Action>
      </div>
    </Dialog>
  );
}
