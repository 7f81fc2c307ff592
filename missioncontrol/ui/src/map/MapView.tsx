/** The map: live vehicles, tracks, plans and incidents over the installation's own layers. */
import { Map as MapLibreMap, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import "maplibre-gl/dist/maplibre-gl.css";
import type { FeatureCollection, Polygon, Position } from "geojson";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Incident, Plan, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { AreaDrawing } from "./AreaDrawing";
import { boundsOf } from "./geojson";
import { addImages } from "./images";
import { Legend } from "./Legend";
import { LayersMenu } from "./LayersMenu";
import {
  areaFeatures,
  ellipseFeatures,
  footprintFeatures,
  incidentFeatures,
  planFeatures,
  trackFeatures,
  vehicleFeatures,
} from "./overlay";
import { baseStyle, type SourceName } from "./style";

setWorkerUrl(workerUrl);

/** Places to bring into view; a new object moves the map, the same one does not. */
export interface Focus {
  places: Position[];
  /** For one place: the zoom to come to if the map is further out. */
  closeness?: number;
}

export interface MapViewProps {
  incidents: readonly Incident[];
  plans: readonly Plan[];
  areas: readonly Polygon[];
  /** The area being edited, when the planning panel is open. */
  editing: { area: Polygon | null; drawing: boolean; changed: (area: Polygon) => void } | null;
  focus: Focus | null;
  selectedVehicle: number | null;
  selectedIncident: string | null;
  onVehicle: (sysid: number) => void;
  onIncident: (id: string) => void;
}

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

function useAreaDrawing(map: MapLibreMap | null, editing: MapViewProps["editing"]): void {
  const drawing = useRef<AreaDrawing | null>(null);
  const latest = useRef(editing);
  latest.current = editing;
  const active = editing !== null;
  useEffect(() => {
    if (map === null || !active) return;
    const made = new AreaDrawing(map, (area) => latest.current?.changed(area));
    drawing.current = made;
    return () => {
      drawing.current = null;
      made.stop();
    };
  }, [map, active]);
  useEffect(() => {
    if (editing === null) return;
    if (editing.drawing) drawing.current?.begin();
    else drawing.current?.show(editing.area);
  }, [map, active, editing?.drawing, editing?.area]);
}

export function MapView(props: MapViewProps) {
  const [box, map, failure] = useMap();
  const { vehicles, tracks, footprints } = useLive();
  const { t, number } = useWords();
  const { incidents, plans, areas, selectedVehicle, selectedIncident, focus, editing } = props;

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
  useSource(map, "area", useMemo(() => areaFeatures(areas), [areas]));
  useSource(map, "incidents", useMemo(() => incidentFeatures(incidents, selectedIncident), [incidents, selectedIncident]));
  useSource(map, "ellipses", useMemo(() => ellipseFeatures(incidents, selectedIncident), [incidents, selectedIncident]));
  useAreaDrawing(map, editing);
  const idle = editing?.drawing !== true;
  useClicks(map, "incidents-icon", "id", (id) => idle && props.onIncident(id));
  useClicks(map, "vehicles-icon", "sysid", (sysid) => idle && props.onVehicle(Number(sysid)));

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
      {map !== null && <LayersMenu map={map} />}
      <Legend plans={plans} areas={areas.length > 0 || editing?.area != null} incidents={incidents} />
    </div>
  );
}
