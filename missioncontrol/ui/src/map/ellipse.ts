/** Error ellipses as polygons, to scale on the ground. */
import type { Polygon, Position } from "geojson";
import type { ErrorEllipse } from "../api/types";

const STEPS = 64;
const METRES_PER_DEGREE_LAT = 111_195;

/** The factor that makes an ellipse of one confidence one of another (chi-square, 2 dof: r2 = -2 ln(1 - p)). */
export function confidenceScale(from: number, to: number): number {
  return Math.sqrt(Math.log1p(-to) / Math.log1p(-from));
}

/**
 * The ring of points of an ellipse around (lon, lat). `orientation_deg` is the bearing of the longer axis,
 * clockwise from true north. Flat-earth: exact to a millimetre at the size of an error ellipse.
 */
export function ellipsePolygon(centre: Position, ellipse: ErrorEllipse, confidence = 0.9): Polygon {
  const scale = ellipse.confidence > 0 && ellipse.confidence < 1 ? confidenceScale(ellipse.confidence, confidence) : 1;
  const [lon = 0, lat = 0] = centre;
  const bearing = (ellipse.orientation_deg * Math.PI) / 180;
  const perLon = METRES_PER_DEGREE_LAT * Math.cos((lat * Math.PI) / 180);
  const ring: Position[] = [];
  for (let step = 0; step <= STEPS; step++) {
    const angle = (2 * Math.PI * (step % STEPS)) / STEPS;
    const along = ellipse.semi_major_m * scale * Math.cos(angle);
    const across = ellipse.semi_minor_m * scale * Math.sin(angle);
    const east = along * Math.sin(bearing) + across * Math.cos(bearing);
    const north = along * Math.cos(bearing) - across * Math.sin(bearing);
    ring.push([lon + east / perLon, lat + north / METRES_PER_DEGREE_LAT]);
  }
  return { type: "Polygon", coordinates: [ring] };
}
