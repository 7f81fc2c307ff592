/** Where things that move over the ground will be soon, on the map and in the picture. */
import type { Position } from "geojson";
import type { FrameHeader, Motion } from "../api/types";

/** An arrow is as long as the way of so many seconds. */
export const AHEAD_S = 5;
const METRES_PER_DEGREE_LAT = 111_195;
/** A footprint has so many points along each edge of the picture, clockwise from its top left corner. */
const EDGE_POINTS = 4;

type Pixel = readonly [x: number, y: number];

/** Where a thing at a place will be in `AHEAD_S`, if it goes on as it does. */
export function ahead(place: Position, motion: Motion): Position {
  const [lon = 0, lat = 0] = place;
  const heading = (motion.heading_deg * Math.PI) / 180;
  const way_m = motion.speed_m_s * AHEAD_S;
  const perLon = METRES_PER_DEGREE_LAT * Math.cos((lat * Math.PI) / 180);
  return [lon + (way_m * Math.sin(heading)) / perLon, lat + (way_m * Math.cos(heading)) / METRES_PER_DEGREE_LAT];
}

/** Solves a linear system by elimination with pivots; null where it has no single answer. */
function solved(matrix: number[][]): number[] | null {
  const n = matrix.length;
  for (let col = 0; col < n; col++) {
    const pivot = matrix.slice(col).reduce((best, row) => (Math.abs(row[col]!) > Math.abs(best[col]!) ? row : best));
    if (!(Math.abs(pivot[col]!) > 1e-12)) return null;
    matrix.splice(matrix.indexOf(pivot), 1);
    matrix.splice(col, 0, pivot);
    for (const row of matrix) {
      if (row === pivot) continue;
      const share = row[col]! / pivot[col]!;
      for (let k = col; k <= n; k++) row[k]! -= share * pivot[k]!;
    }
  }
  return matrix.map((row, k) => row[n]! / row[k]!);
}

/**
 * From places (lon, lat) to pixels of a frame, by the corners of its footprint on level ground; null where the footprint
 * is not of a frame that shows ground in all its corners.
 */
export function pixelsOf(header: FrameHeader): ((place: Position) => Pixel) | null {
  const { footprint, width, height } = header;
  if (!footprint || !width || !height || footprint.length !== 4 * EDGE_POINTS + 1) return null;
  const [lon0 = 0, lat0 = 0] = footprint[0] ?? [];
  const span = Math.max(...footprint.map(([lon = 0, lat = 0]) => Math.max(Math.abs(lon - lon0), Math.abs(lat - lat0))));
  const scaled = ([lon = 0, lat = 0]: Position): Pixel => [(lon - lon0) / span, (lat - lat0) / span];
  const corners: Pixel[] = [[0, 0], [1, 0], [1, 1], [0, 1]];
  const rows = corners.flatMap(([u, v], index) => {
    const [x, y] = scaled(footprint[index * EDGE_POINTS] ?? []);
    return [
      [x, y, 1, 0, 0, 0, -u * x, -u * y, u],
      [0, 0, 0, x, y, 1, -v * x, -v * y, v],
    ];
  });
  const h = solved(rows);
  if (h === null) return null;
  const [a, b, c, d, e, f, g, i] = h as [number, number, number, number, number, number, number, number];
  return (place) => {
    const [x, y] = scaled(place);
    const w = g * x + i * y + 1;
    return [(width * (a * x + b * y + c)) / w, (height * (d * x + e * y + f)) / w];
  };
}

/** The arrow of a detection in its picture, from the middle of its box: how far it goes in `AHEAD_S`, px. */
export function arrowOf(place: Position, motion: Motion, toPixels: (place: Position) => Pixel): Pixel | null {
  const [x0, y0] = toPixels(place);
  const [x1, y1] = toPixels(ahead(place, motion));
  const arrow: Pixel = [x1 - x0, y1 - y0];
  return arrow.every(Number.isFinite) ? arrow : null;
}
