/** Turns what the console knows into the features the map draws. */
import type { Feature, FeatureCollection, GeoJsonProperties, LineString, Polygon, Position } from "geojson";
import type { ErrorEllipse, FrameDetection, Incident, Plan, Shape, Vehicle } from "../api/types";
import { incidentId, vehicleId } from "../live/store";
import { ellipseAxes, ellipsePolygon } from "./ellipse";
import { ahead } from "./movement";
import { arrowImageName, incidentImageName, vehicleImageName } from "./images";
import { detectionColour, kindColour, standingOf, vehicleColour } from "./palette";

const collection = (features: Feature[]): FeatureCollection => ({ type: "FeatureCollection", features });

/** Vehicles in the order of their sysid: the order fixes each one's colour. */
export function orderOf(vehicles: ReadonlyMap<number, Vehicle>): number[] {
  return [...vehicles.keys()].sort((a, b) => a - b);
}

const SILENT = new Set(["stale", "lost"]);

export function vehicleFeatures(
  vehicles: ReadonlyMap<number, Vehicle>,
  selected: number | null,
  label: (vehicle: Vehicle) => string,
): FeatureCollection {
  const order = orderOf(vehicles);
  return collection(
    [...vehicles.values()].flatMap((vehicle): Feature[] => {
      if (vehicle.geometry === null) return [];
      const sysid = vehicleId(vehicle);
      const place = order.indexOf(sysid);
      const properties = {
        sysid,
        label: label(vehicle),
        heading: vehicle.properties.heading_deg ?? 0,
        colour: vehicleColour(place),
        image: vehicleImageName(place, SILENT.has(vehicle.properties.state)),
        selected: sysid === selected,
      };
      return [{ type: "Feature", id: sysid, geometry: vehicle.geometry, properties }];
    }),
  );
}

export function trackFeatures(
  tracks: ReadonlyMap<number, Position[]>,
  vehicles: ReadonlyMap<number, Vehicle>,
  selected: number | null,
): FeatureCollection {
  const order = orderOf(vehicles);
  return collection(
    [...tracks].flatMap(([sysid, coordinates]): Feature[] =>
      coordinates.length < 2
        ? []
        : [
            {
              type: "Feature",
              geometry: { type: "LineString", coordinates: coordinates.map((place) => place.slice(0, 2)) },
              properties: { colour: vehicleColour(order.indexOf(sysid)), selected: sysid === selected },
            },
          ],
    ),
  );
}

/** The ground in view of the cameras whose video is open. */
export function footprintFeatures(
  footprints: ReadonlyMap<number, Position[]>,
  vehicles: ReadonlyMap<number, Vehicle>,
): FeatureCollection {
  const order = orderOf(vehicles);
  return collection(
    [...footprints].map(([sysid, ring]): Feature => ({
      type: "Feature",
      geometry: { type: "Polygon", coordinates: [ring] },
      properties: { colour: vehicleColour(order.indexOf(sysid)) },
    })),
  );
}

/** What moves over the ground in the videos that are open: where it is, where it goes and how fast. */
export function moverFeatures(
  movers: ReadonlyMap<number, readonly FrameDetection[]>,
  label: (detection: FrameDetection) => string,
): FeatureCollection {
  return collection(
    [...movers.values()].flat().flatMap((detection): Feature[] => {
      const { place, motion } = detection;
      if (place === undefined || motion === undefined) return [];
      const properties = { colour: detectionColour(detection.class), image: arrowImageName(detection.class) };
      const end = ahead(place, motion);
      return [
        { type: "Feature", geometry: { type: "LineString", coordinates: [place, end] }, properties },
        {
          type: "Feature",
          geometry: { type: "Point", coordinates: end },
          properties: { ...properties, heading: motion.heading_deg, label: label(detection) },
        },
      ];
    }),
  );
}

export const lineOf = (path: Feature<LineString> | LineString): LineString =>
  path.type === "Feature" ? path.geometry : path;

export function planFeatures(plans: readonly Plan[], vehicles: ReadonlyMap<number, Vehicle>): FeatureCollection {
  const order = orderOf(vehicles);
  return collection(
    plans.flatMap((plan) =>
      plan.vehicles.map((part): Feature => ({
        type: "Feature",
        geometry: lineOf(part.path),
        properties: { colour: vehicleColour(order.indexOf(part.sysid)) },
      })),
    ),
  );
}

export function shapeFeatures(shapes: readonly Shape[]): FeatureCollection {
  return collection(shapes.map((geometry): Feature => ({ type: "Feature", geometry, properties: {} })));
}

/** The point an incident's marker stands on. */
export function placeOf(incident: Incident): Position {
  const { lon, lat } = incident.properties;
  if (lon !== undefined && lat !== undefined) return [lon, lat];
  if (incident.geometry.type === "Point") return incident.geometry.coordinates;
  const ring = (incident.geometry.coordinates[0] ?? []).slice(1);
  const sum = ring.reduce<[number, number]>((acc, p) => [acc[0] + (p[0] ?? 0), acc[1] + (p[1] ?? 0)], [0, 0]);
  return [sum[0] / ring.length, sum[1] / ring.length];
}

export function incidentFeatures(incidents: readonly Incident[], selected: string | null): FeatureCollection {
  return collection(
    incidents.map((incident): Feature => {
      const standing = standingOf(incident.properties.state);
      return {
        type: "Feature",
        geometry: { type: "Point", coordinates: placeOf(incident) },
        properties: {
          id: incidentId(incident),
          image: incidentImageName(incident.properties.kind, standing),
          order: { closed: 0, confirmed: 1, open: 2 }[standing],
          selected: incidentId(incident) === selected,
        },
      };
    }),
  );
}

/** The axes of an ellipse, and at the southern end its size in words. */
function axisFeatures(centre: Position, ellipse: ErrorEllipse, properties: GeoJsonProperties, label: string): Feature[] {
  const axes = ellipseAxes(centre, ellipse);
  const ring = ellipsePolygon(centre, ellipse).coordinates[0] ?? [];
  const southern = ring.reduce((low, place) => ((place[1] ?? 0) < (low[1] ?? 0) ? place : low), centre);
  return [
    { type: "Feature", geometry: axes, properties },
    { type: "Feature", geometry: { type: "Point", coordinates: southern }, properties: { ...properties, label } },
  ];
}

/** The 90 % error ellipses, and the outlines of incidents that are areas. Those set aside are drawn only when selected. */
export function ellipseFeatures(
  incidents: readonly Incident[],
  selected: string | null,
  words: (ellipse: ErrorEllipse) => string,
): FeatureCollection {
  return collection(
    incidents.flatMap((incident): Feature[] => {
      const chosen = incidentId(incident) === selected;
      if (standingOf(incident.properties.state) === "closed" && !chosen) return [];
      const properties = { colour: kindColour(incident.properties.kind), selected: chosen };
      const shapes: Polygon[] = incident.geometry.type === "Polygon" ? [incident.geometry] : [];
      if (incident.properties.ellipse) shapes.push(ellipsePolygon(placeOf(incident), incident.properties.ellipse));
      const found = shapes.map((geometry): Feature => ({ type: "Feature", geometry, properties }));
      const { ellipse } = incident.properties;
      if (chosen && ellipse) found.push(...axisFeatures(placeOf(incident), ellipse, properties, words(ellipse)));
      return found;
    }),
  );
}
