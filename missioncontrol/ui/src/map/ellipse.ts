/** Error ellipses as polygons, to scale on the ground. */
import type { MultiLineString, Polygon, Position } from "geojson";
import type { ErrorEllipse } from "../api/types";

const STEPS = 64;
const METRES_PER_DEGREE_LAT = 111_195;

/** The factor that makes an ellipse of one confidence one of another (chi-square, 2 dof: r2 = -2 ln(1 - p)). */
export function confidenceScale(from: number, to: number): number {
  return Math.sqrt(Math.log1p(-to) / Math.log1p(-from));
}

interface Axes {
  /** Half axes at the confidence, m. */
  major_m: number;
  minor_m: number;
  /** A place so far along the longer axis and across it, m. */
  at: (along_m: number, across_m: number) => Position;
}

function axesOf(centre: Position, ellipse: ErrorEllipse, confidence: number): Axes {
  const scale = ellipse.confidence > 0 && ellipse.confidence < 1 ? confidenceScale(ellipse.confidence, confidence) : 1;
  const [lon = 0, lat = 0] = centre;
  const bearing = (ellipse.orientation_deg * Math.PI) / 180;
  const perLon = METRES_PER_DEGREE_LAT * Math.cos((lat * Math.PI) / 180);
  return {
    major_m: ellipse.semi_major_m * scale,
    minor_m: ellipse.semi_minor_m * scale,
    at: (along_m, across_m) => {
      const east = along_m * Math.sin(bearing) + across_m * Math.cos(bearing);
      const north = along_m * Math.cos(bearing) - across_m * Math.sin(bearing);
      return [lon + east / perLon, lat + north / METRES_PER_DEGREE_LAT];
    },
  };
}

/**
 * The ring of points of an ellipse around (lon, lat). `orientation_deg` is the bearing of the longer axis,
 * clockwise from true north. Flat-earth: exact to a millimetre at the size of an error ellipse.
 */
export function ellipsePolygon(centre: Position, ellipse: ErrorEllipse, confidence = 0.9): Polygon {
  const { major_m, minor_m, at } = axesOf(centre, ellipse, confidence);
  const ring = Array.from({ length: STEPS + 1 }, (_, step) => {
    const angle = (2 * Math.PI * (step % STEPS)) / STEPS;
    return at(major_m * Math.cos(angle), minor_m * Math.sin(angle));
  });
  return { type: "Polygon", coordinates: [ring] };
}

/** Both axes of the same ellipse. */
export function ellipseAxes(centre: Position, ellipse: ErrorEllipse, confidence = 0.9): MultiLineString {
  const { major_m, minor_m, at } = axesOf(centre, ellipse, confidence);
  return { type: "MultiLineString", coordinates: [[at(-major_m, 0), at(major_m, 0)], [at(0, -minor_m), at(0, minor_m)]] };
}

/** Metres in a pixel of the map at the equator at zoom 0. */
const M_PER_PX = 78_271.5;
/** An ellipse fills so many pixels from its middle. */
const SHOWN_PX = 60;

/** The zoom at which an ellipse is well seen beside the mark on it. */
export function closenessOf(ellipse: ErrorEllipse | null | undefined): number {
  const major_m = ellipse ? ellipse.semi_major_m * confidenceScale(ellipse.confidence, 0.9) : 0;
  return Math.min(Math.max(Math.log2((M_PER_PX * SHOWN_PX) / Math.max(major_m, 0.1)) - 0.4, 15), 20.5);
}
