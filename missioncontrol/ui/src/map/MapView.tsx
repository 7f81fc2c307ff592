/** The map: live vehicles, tracks, plans and incidents over the installation's own layers. */
import { Map as MapLibreMap, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import "maplibre-gl/dist/maplibre-gl.css";
import type { FeatureCollection, Position } from "geojson";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Corners, ErrorEllipse, FrameDetection, Incident, Plan, Shape, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { confidenceScale } from "./ellipse";
import { boundsOf } from "./geojson";
import { addImages } from "./images";
import { Legend } from "./Legend";
import { LayersMenu } from "./LayersMenu";
import { ShapeDrawing } from "./ShapeDrawing";
import {
  ellipseFeatures,
  footprintFeatures,
  incidentFeatures,
  moverFeatures,
  planFeatures,
  shapeFeatures,
  trackFeatures,
  vehicleFeatures,
} from "./overlay";
import { ABOVE_SEEN, baseStyle, type SourceName } from "./style";
import { useZones } from "./useZones";

setWorkerUrl(workerUrl);

/** Places to bring into view; a new object moves the map, the same one does not. */
export interface Focus {
  places: Position[];
  /** For one place: the zoom to come to if the map is further out. */
  closeness?: number;
}

/** The shape being made, when the planning panel is open. */
export interface Editing {
  type: Shape["type"];
  shape: Shape | null;
  drawing: boolean;
  changed: (shape: Shape | null, done: boolean) => void;
}

/** A picture of what was seen of an area, and where its corners lie. */
export interface Seen {
  url: string;
  corners: Corners;
}

export interface MapViewProps {
  incidents: readonly Incident[];
  plans: readonly Plan[];
  shapes: readonly Shape[];
  editing: Editing | null;
  seen: Seen | null;
  focus: Focus | null;
  selectedVehicle: number | null;
  selectedIncident: string | null;
  onVehicle: (sysid: number) => void;
  onIncident: (id: string) => void;
  /** A right click: somebody is wanted there. */
  onCall: (place: Position) => void;
}

const SEEN = "seen";
const SAME_CLICK_MS = 300;
const ALMATY: [number, number] = [76.945, 43.205];

function useMap(): [React.RefObject<HTMLDivElement | null>, MapLibreMap | null, string | null] {
  const box = useRef<HTMLDivElement | null>(null);
  const [map, setMap] = useState<MapLibreMap | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    if (box.current === null) return;
    let made: MapLibreMap;
    try {
      made = new MapLibreMap({
        container: box.current,
        style: baseStyle(),
        center: ALMATY,
        zoom: 14,
        maxZoom: 21,
        attributionControl: false,
        dragRotate: false,
        pitchWithRotate: false,
        fadeDuration: 0,
      });
    } catch (cause) {
      setFailure(cause instanceof Error ? cause.message : String(cause));
      return;
    }
    made.touchZoomRotate.disableRotation();
    made.addControl(new NavigationControl({ showCompass: false }), "top-right");
    made.addControl(new ScaleControl({ unit: "metric" }), "top-left");
    made.on("load", () => {
      addImages(made);
      setMap(made);
    });
    return () => {
      setMap(null);
      made.remove();
    };
  }, []);
  return [box, map, failure];
}

function useSource(map: MapLibreMap | null, name: SourceName, data: FeatureCollection): void {
  useEffect(() => {
    map?.getSource<GeoJSONSource>(name)?.setData(data);
  }, [map, name, data]);
}

function useSeen(map: MapLibreMap | null, seen: Seen | null): void {
  useEffect(() => {
    if (map === null || seen === null) return;
    map.addSource(SEEN, { type: "image", url: new URL(seen.url, window.location.origin).href, coordinates: seen.corners });
    map.addLayer(
      { id: SEEN, type: "raster", source: SEEN, paint: { "raster-resampling": "nearest", "raster-fade-duration": 0, "raster-opacity": 0.6 } },
      ABOVE_SEEN,
    );
    return () => {
      if (map.getLayer(SEEN) === undefined) return;
      map.removeLayer(SEEN);
      map.removeSource(SEEN);
    };
  }, [map, seen]);
}

function useClicks(map: MapLibreMap | null, layer: string, property: string, clicked: (value: string) => void): void {
  const latest = useRef(clicked);
  latest.current = clicked;
  useEffect(() => {
    if (map === null) return;
    const click = map.on("click", layer, (event) => {
      const value: unknown = event.features?.[0]?.properties[property];
      if (value !== undefined && value !== null) latest.current(String(value));
    });
    const enter = map.on("mouseenter", layer, () => (map.getCanvas().style.cursor = "pointer"));
    const leave = map.on("mouseleave", layer, () => (map.getCanvas().style.cursor = ""));
    return () => [click, enter, leave].forEach((subscription) => subscription.unsubscribe());
  }, [map, layer, property]);
}

/** Answers whether a click is free to mean something else: not while a shape is drawn, nor when it just ended it. */
function useShapeDrawing(map: MapLibreMap | null, editing: Editing | null): () => boolean {
  const drawing = useRef<ShapeDrawing | null>(null);
  const drawn_ms = useRef(-Infinity);
  const latest = useRef(editing);
  latest.current = editing;
  const active = editing !== null;
  useEffect(() => {
    if (map === null || !active) return;
    const made = new ShapeDrawing(map, (shape, done) => {
      drawn_ms.current = performance.now();
      latest.current?.changed(shape, done);
    });
    drawing.current = made;
    return () => {
      drawing.current = null;
      made.stop();
    };
  }, [map, active]);
  useEffect(() => {
    if (editing === null) return;
    if (editing.drawing) drawing.current?.begin(editing.type);
    else drawing.current?.show(editing.shape);
  }, [map, active, editing?.type, editing?.drawing, editing?.shape]);
  return () => latest.current?.drawing !== true && performance.now() - drawn_ms.current > SAME_CLICK_MS;
}

function useCalls(map: MapLibreMap | null, called: (place: Position) => void): void {
  const latest = useRef(called);
  latest.current = called;
  useEffect(() => {
    const menu = map?.on("contextmenu", ({ lngLat }) => latest.current([lngLat.lng, lngLat.lat]));
    return () => menu?.unsubscribe();
  }, [map]);
}

export function MapView(props: MapViewProps) {
  const [box, map, failure] = useMap();
  const { vehicles, tracks, footprints, movers } = useLive();
  const { t, term, number } = useWords();
  const { incidents, plans, shapes, selectedVehicle, selectedIncident, focus, editing } = props;

  const label = useMemo(
    () => (vehicle: Vehicle) => {
      const { name, height_agl_m, relative_altitude_m, battery_percent } = vehicle.properties;
      const height = t("unit.m", { n: number(height_agl_m ?? relative_altitude_m) });
      return `${name}\n${height} · ${t("unit.percent", { n: number(battery_percent) })}`;
    },
    [t, number],
  );
  useSource(map, "vehicles", useMemo(() => vehicleFeatures(vehicles, selectedVehicle, label), [vehicles, selectedVehicle, label]));
  useSource(map, "tracks", useMemo(() => trackFeatures(tracks, vehicles, selectedVehicle), [tracks, selectedVehicle]));
  useSource(map, "footprints", useMemo(() => footprintFeatures(footprints, vehicles), [footprints]));
  useSource(map, "plans", useMemo(() => planFeatures(plans, vehicles), [plans, vehicles.size]));
  useSource(map, "shapes", useMemo(() => shapeFeatures(shapes), [shapes]));
  useSource(map, "incidents", useMemo(() => incidentFeatures(incidents, selectedIncident), [incidents, selectedIncident]));
  const size = useMemo(
    () => (ellipse: ErrorEllipse) => {
      const scale = confidenceScale(ellipse.confidence, 0.9);
      const [major, minor] = [ellipse.semi_major_m * scale, ellipse.semi_minor_m * scale];
      return t("map.ellipse_size", { major: number(major, 1), minor: number(minor, 1) });
    },
    [t, number],
  );
  useSource(map, "ellipses", useMemo(() => ellipseFeatures(incidents, selectedIncident, size), [incidents, selectedIncident, size]));
  const pace = useMemo(
    () => (detection: FrameDetection) => {
      const { speed_m_s, heading_deg } = detection.motion ?? {};
      return `${term("detection", detection.class)} ${t("map.pace", { speed: number(speed_m_s, 1), heading: number(heading_deg) })}`;
    },
    [t, term, number],
  );
  useSource(map, "movers", useMemo(() => moverFeatures(movers, pace), [movers, pace]));
  useSeen(map, props.seen);
  useCalls(map, (place) => free() && props.onCall(place));
  const free = useShapeDrawing(map, editing);
  const zones = useZones(map, free);
  useClicks(map, "incidents-icon", "id", (id) => free() && props.onIncident(id));
  useClicks(map, "vehicles-icon", "sysid", (sysid) => free() && props.onVehicle(Number(sysid)));

  useEffect(() => {
    const bounds = focus === null ? null : boundsOf(focus.places);
    if (map === null || focus === null || bounds === null) return;
    const [west, south] = bounds;
    if (focus.places.length > 1) map.fitBounds(bounds, { padding: 60, maxZoom: 18, duration: 600 });
    else map.easeTo({ center: [west, south], zoom: Math.max(map.getZoom(), focus.closeness ?? 0), duration: 600 });
  }, [map, focus]);

  return (
    <div className="map">
      <div ref={box} className="map-canvas" role="application" aria-label={t("map.label")} data-ready={map !== null} />
      {failure !== null && <p className="map-failure">{t("map.no_webgl", { detail: failure })}</p>}
      {map !== null && <LayersMenu map={map} free={free} />}
      <Legend plans={plans} shapes={shapes.length > 0 || editing?.shape != null} seen={props.seen !== null} zones={zones} incidents={incidents} />
    </div>
  );
}
