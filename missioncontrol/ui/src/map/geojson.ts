/** Reads shapes to plan over out of GeoJSON, and measures them. */
import type { Position } from "geojson";
import type { Shape } from "../api/types";

/** A shape, and what the file calls it. */
export interface NamedShape {
  shape: Shape;
  name: string;
}

/** Parts of a collection, and what a geometry of many parts consists of. */
const PARTS: Record<string, "features" | "geometries"> = { FeatureCollection: "features", GeometryCollection: "geometries" };
const SINGLE: Record<string, Shape["type"]> = { MultiPolygon: "Polygon", MultiLineString: "LineString", MultiPoint: "Point" };

function nameOf(properties: unknown): string {
  if (typeof properties !== "object" || properties === null) return "";
  const { name, Name, title } = properties as Record<string, unknown>;
  return [name, Name, title].map((each) => (typeof each === "string" ? each.trim() : "")).find(Boolean) ?? "";
}

function singles(value: unknown, name: string): NamedShape[] {
  if (typeof value !== "object" || value === null) return [];
  const node = value as Record<string, unknown>;
  const type = String(node["type"]);
  if (type === "Feature") return singles(node["geometry"], nameOf(node["properties"]));
  const parts = PARTS[type];
  if (parts !== undefined) return Array.isArray(node[parts]) ? node[parts].flatMap((each) => singles(each, name)) : [];
  const coordinates = node["coordinates"];
  if (!Array.isArray(coordinates)) return [];
  const single = SINGLE[type];
  if (single !== undefined) return coordinates.map((each) => ({ name, shape: { type: single, coordinates: each } as Shape }));
  return ["Polygon", "LineString", "Point"].includes(type) ? [{ name, shape: { type, coordinates } as Shape }] : [];
}

/** Every shape of a type in a GeoJSON value (lon, lat); several places are one shape. */
export function shapesIn(value: unknown, type: Shape["type"]): NamedShape[] {
  const found = singles(value, "").filter((each) => each.shape.type === (type === "MultiPoint" ? "Point" : type));
  if (type !== "MultiPoint" || found.length === 0) return found;
  return [{ name: "", shape: { type, coordinates: found.map((each) => each.shape.coordinates as Position) } }];
}

/** Every position of a shape. */
export function placesOf(shape: Shape): Position[] {
  if (shape.type === "Point") return [shape.coordinates];
  return shape.type === "Polygon" ? shape.coordinates.flat() : shape.coordinates;
}

/** The smallest box [west, south, east, north] around positions, or null where there are none. */
export function boundsOf(places: Position[]): [number, number, number, number] | null {
  if (places.length === 0) return null;
  const lons = places.map((place) => place[0] ?? 0);
  const lats = places.map((place) => place[1] ?? 0);
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}

const EARTH_M = 6_371_008.8;
const RAD = Math.PI / 180;

/** Distance of two positions on the sphere, m; heights are left out. */
export function distanceM(from: Position, to: Position): number {
  const [lon1 = 0, lat1 = 0] = from;
  const [lon2 = 0, lat2 = 0] = to;
  const east = Math.sin(((lon2 - lon1) * RAD) / 2) ** 2 * Math.cos(lat1 * RAD) * Math.cos(lat2 * RAD);
  return 2 * EARTH_M * Math.asin(Math.sqrt(Math.sin(((lat2 - lat1) * RAD) / 2) ** 2 + east));
}

/** How far each position lies along its line, m. */
export function alongM(line: Position[]): number[] {
  let sum = 0;
  return line.map((place, index) => (sum += index === 0 ? 0 : distanceM(line[index - 1] ?? place, place)));
}

/** Area of the rings of a polygon on the sphere, holes taken off, m2, by the trapezoid rule. */
export function areaM2(rings: Position[][]): number {
  const ringArea = (ring: Position[]): number => {
    let sum = 0;
    for (let i = 0; i + 1 < ring.length; i++) {
      const [lon1 = 0, lat1 = 0] = ring[i] ?? [];
      const [lon2 = 0, lat2 = 0] = ring[i + 1] ?? [];
      sum += (lon2 - lon1) * RAD * (2 + Math.sin(lat1 * RAD) + Math.sin(lat2 * RAD));
    }
    return Math.abs((sum * EARTH_M ** 2) / 2);
  };
  const [outer = [], ...holes] = rings;
  return ringArea(outer) - holes.reduce((sum, hole) => sum + ringArea(hole), 0);
}
