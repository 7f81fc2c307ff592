/** The heights of a flight along its way, as a small chart. */
import type { Position } from "geojson";
import { useWords } from "../i18n";
import { alongM } from "../map/geojson";

const WIDTH = 280;
const HEIGHT = 70;
/** Flatter ways are not drawn larger than so many metres high. */
const LEAST_SPAN_M = 20;

interface ProfileProps {
  /** Of lon, lat, m AMSL. */
  path: Position[];
  colour: string;
}

export function Profile({ path, colour }: ProfileProps) {
  const { t, number, distance } = useWords();
  const heights = path.map((place) => place[2]);
  if (path.length < 2 || !heights.every((height) => height !== undefined)) return null;
  const along = alongM(path);
  const whole = along.at(-1) || 1;
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const span = Math.max(high - low, LEAST_SPAN_M);
  const base = (low + high - span) / 2;
  const points = heights.map(
    (height, index) =>
      `${((WIDTH * (along[index] ?? 0)) / whole).toFixed(1)},${(HEIGHT * (1 - (height - base) / span)).toFixed(1)}`,
  );
  const range = t("profile.range", { low: number(low), high: number(high) });
  return (
    <figure className="profile">
      <figcaption>
        <span>{t("profile.title")}</span>
        <span>{range}</span>
      </figcaption>
      <svg viewBox={`0 -3 ${WIDTH} ${HEIGHT + 6}`} preserveAspectRatio="none" role="img" aria-label={`${t("profile.title")}: ${range}`}>
        <polygon points={`0,${HEIGHT + 3} ${points.join(" ")} ${WIDTH},${HEIGHT + 3}`} fill={colour} fillOpacity="0.14" />
        <polyline points={points.join(" ")} fill="none" stroke={colour} strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
      </svg>
      <figcaption>
        <span>{distance(0)}</span>
        <span>{distance(along.at(-1))}</span>
      </figcaption>
    </figure>
  );
}
