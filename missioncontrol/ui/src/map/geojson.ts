/** Reads a survey area out of pasted or uploaded GeoJSON. */
import type { Polygon, Position } from "geojson";

/** Why a text is not an area; `key` names the message of the catalogue. */
export class AreaError extends Error {
  constructor(
    readonly key: "area.not_json" | "area.no_polygon" | "area.many_polygons" | "area.not_degrees",
    readonly detail = "",
  ) {
    super(`${key} ${detail}`);
  }
}

function polygonsIn(value: unknown): Polygon[] {
  if (typeof value !== "object" || value === null) return [];
  const node = value as { type?: unknown; geometry?: unknown; features?: unknown; geometries?: unknown; coordinates?: unknown };
  switch (node.type) {
    case "Polygon":
      return [{ type: "Polygon", coordinates: node.coordinates as Position[][] }];
    case "MultiPolygon":
      return (node.coordinates as Position[][][]).map((coordinates) => ({ type: "Polygon", coordinates }));
    case "Feature":
      return polygonsIn(node.geometry);
    case "FeatureCollection":
      return Array.isArray(node.features) ? node.features.flatMap(polygonsIn) : [];
    case "GeometryCollection":
      return Array.isArray(node.geometries) ? node.geometries.flatMap(polygonsIn) : [];
    default:
      return [];
  }
}

const isDegrees = (place: unknown): boolean =>
  Array.isArray(place) &&
  typeof place[0] === "number" &&
  typeof place[1] === "number" &&
  Math.abs(place[0]) <= 180 &&
  Math.abs(place[1]) <= 90;

/** The one polygon in a GeoJSON text (lon, lat). What is wrong with its shape the service says. */
export function areaFrom(text: string): Polygon {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AreaError("area.not_json", cause instanceof Error ? cause.message : "");
  }
  const [polygon, ...others] = polygonsIn(value);
  if (polygon === undefined || !Array.isArray(polygon.coordinates?.[0])) throw new AreaError("area.no_polygon");
  if (others.length > 0) throw new AreaError("area.many_polygons", String(others.length + 1));
  if (!polygon.coordinates.every((ring) => Array.isArray(ring) && ring.every(isDegrees))) {
    throw new AreaError("area.not_degrees");
  }
  return polygon;
}

/** The smallest box [west, south, east, north] around positions, or null where there are none. */
export function boundsOf(places: Position[]): [number, number, number, number] | null {
  if (places.length === 0) return null;
  const lons = places.map((place) => place[0] ?? 0);
  const lats = places.map((place) => place[1] ?? 0);
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}

/** Area of a polygon on the sphere, m2, by the trapezoid rule on its rings. */
export function areaM2(polygon: Polygon): number {
  const rad = Math.PI / 180;
  const ringArea = (ring: Position[]): number => {
    let sum = 0;
    for (let i = 0; i + 1 < ring.length; i++) {
      const [lon1 = 0, lat1 = 0] = ring[i] ?? [];
      const [lon2 = 0, lat2 = 0] = ring[i + 1] ?? [];
      sum += (lon2 - lon1) * rad * (2 + Math.sin(lat1 * rad) + Math.sin(lat2 * rad));
    }
    return Math.abs((sum * 6_371_008.8 ** 2) / 2);
  };
  const [outer = [], ...holes] = polygon.coordinates;
  return ringArea(outer) - holes.reduce((sum, hole) => sum + ringArea(hole), 0);
}
