/** An error ellipse to scale, north up, with the circles it is held against. */
import type { ErrorEllipse } from "../api/types";
import { useWords } from "../i18n";
import { confidenceScale } from "../map/ellipse";

/** A circle of CE90, m. */
export interface ErrorCircle {
  radius_m: number;
  look: "needed" | "expected";
}

interface EllipseFigureProps {
  ellipse: ErrorEllipse;
  colour: string;
  circles?: readonly ErrorCircle[];
}

const HALF = 46;
const STEPS_M = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

export function EllipseFigure({ ellipse, colour, circles = [] }: EllipseFigureProps) {
  const { t, number } = useWords();
  const scale = confidenceScale(ellipse.confidence, 0.9);
  const [major_m, minor_m] = [ellipse.semi_major_m * scale, ellipse.semi_minor_m * scale];
  const perM = HALF / Math.max(major_m, ...circles.map((circle) => circle.radius_m), 0.05);
  const bar_m = STEPS_M.findLast((step) => step * perM <= HALF) ?? 0.1;
  return (
    <svg className="ellipse-figure" viewBox="-50 -50 100 114" role="img" aria-label={t("incident.ellipse")}>
      <g transform={`rotate(${ellipse.orientation_deg})`} stroke={colour}>
        <ellipse rx={minor_m * perM} ry={major_m * perM} fill={colour} fillOpacity="0.18" strokeWidth="1.6" />
        <path d={`M0 ${-major_m * perM}V${major_m * perM}M${-minor_m * perM} 0H${minor_m * perM}`} strokeWidth="0.7" strokeDasharray="2 2" />
      </g>
      {circles.map(({ radius_m, look }) => (
        <circle key={look} className={look} r={radius_m * perM} />
      ))}
      <circle r="1.8" className="mark" />
      <path className="north" d="M-44 -34V-46M-47 -42L-44 -46L-41 -42" />
      <path className="north" d={`M${(-bar_m * perM) / 2} 54V57H${(bar_m * perM) / 2}V54`} />
      <text y="52" textAnchor="middle">
        {t("unit.m", { n: number(bar_m, bar_m < 1 ? 1 : 0) })}
      </text>
    </svg>
  );
}
