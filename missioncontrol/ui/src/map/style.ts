/** The map's sources and layers, bottom to top, over a plain background. Nothing is fetched from outside. */
import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from "maplibre-gl";
import { OTHER_ZONE_COLOUR, ZONE_COLOURS } from "./palette";

export const BACKGROUND = "#131a20";
const EMPTY = { type: "FeatureCollection" as const, features: [] };
const FONT = ["Noto Sans Bold", "sans-serif"];

/** Sources that the console fills, by name. */
export const SOURCES = ["permits", "parcels", "buildings", "zones", "shapes", "plans", "footprints", "tracks", "ellipses", "incidents", "movers", "vehicles"] as const;
export type SourceName = (typeof SOURCES)[number];

const LABEL_PAINT = { "text-color": "#f2f6f9", "text-halo-color": "#0a0f13", "text-halo-width": 1.6 };

/** One that is not in force now is drawn faint. */
const ZONE_COLOUR: ExpressionSpecification = [
  "coalesce",
  ["get", ["get", "kind"], ["literal", ZONE_COLOURS]],
  OTHER_ZONE_COLOUR,
];

const LAYERS: LayerSpecification[] = [
  { id: "background", type: "background", paint: { "background-color": BACKGROUND } },
  {
    id: "parcels-line",
    type: "line",
    source: "parcels",
    paint: { "line-color": "#e8d9a0", "line-width": 0.8, "line-opacity": 0.55 },
  },
  {
    id: "buildings-fill",
    type: "fill",
    source: "buildings",
    paint: { "fill-color": "#6f8496", "fill-opacity": 0.28, "fill-outline-color": "#c2d3e0" },
  },
  {
    id: "permits-line",
    type: "line",
    source: "permits",
    paint: { "line-color": "#77d98a", "line-width": 1.6, "line-dasharray": [3, 2] },
  },
  {
    id: "zones-fill",
    type: "fill",
    source: "zones",
    paint: { "fill-color": ZONE_COLOUR, "fill-opacity": ["case", ["get", "active"], 0.16, 0.04] },
  },
  {
    id: "zones-line",
    type: "line",
    source: "zones",
    paint: { "line-color": ZONE_COLOUR, "line-width": 1.4, "line-opacity": ["case", ["get", "active"], 0.9, 0.4] },
  },
  {
    id: "zones-label",
    type: "symbol",
    source: "zones",
    layout: {
      "text-field": ["coalesce", ["get", "name"], ["get", "zone"]],
      "text-font": FONT,
      "text-size": 11,
      "symbol-placement": "line",
      "text-optional": true,
    },
    paint: { ...LABEL_PAINT, "text-color": ZONE_COLOUR },
  },
  {
    id: "shapes-fill",
    type: "fill",
    source: "shapes",
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": "#46b1e1", "fill-opacity": 0.1 },
  },
  {
    id: "shapes-line",
    type: "line",
    source: "shapes",
    paint: { "line-color": "#8fd3f0", "line-width": 1.8, "line-dasharray": [4, 2] },
  },
  {
    id: "shapes-point",
    type: "circle",
    source: "shapes",
    filter: ["in", ["geometry-type"], ["literal", ["Point", "MultiPoint"]]],
    paint: { "circle-radius": 5, "circle-color": "#46b1e1", "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.5 },
  },
  {
    id: "plans-casing",
    type: "line",
    source: "plans",
    layout: { "line-join": "round", "line-cap": "round" },
    paint: { "line-color": "#0a0f13", "line-width": 3.6, "line-opacity": 0.45 },
  },
  {
    id: "plans-line",
    type: "line",
    source: "plans",
    layout: { "line-join": "round", "line-cap": "round" },
    paint: { "line-color": ["get", "colour"], "line-width": 1.6, "line-opacity": 0.85 },
  },
  {
    id: "footprints-fill",
    type: "fill",
    source: "footprints",
    paint: { "fill-color": ["get", "colour"], "fill-opacity": 0.14 },
  },
  {
    id: "footprints-line",
    type: "line",
    source: "footprints",
    paint: { "line-color": ["get", "colour"], "line-width": 1.2, "line-opacity": 0.9 },
  },
  {
    id: "tracks-line",
    type: "line",
    source: "tracks",
    layout: { "line-join": "round", "line-cap": "round" },
    paint: {
      "line-color": ["get", "colour"],
      "line-width": ["case", ["get", "selected"], 5, 3.5],
      "line-opacity": ["case", ["get", "selected"], 0.7, 0.45],
    },
  },
  {
    id: "ellipses-fill",
    type: "fill",
    source: "ellipses",
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": ["get", "colour"], "fill-opacity": ["case", ["get", "selected"], 0.3, 0.16] },
  },
  {
    id: "ellipses-line",
    type: "line",
    source: "ellipses",
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "line-color": ["get", "colour"], "line-width": ["case", ["get", "selected"], 2.4, 1.2], "line-opacity": 0.95 },
  },
  {
    id: "ellipses-axes",
    type: "line",
    source: "ellipses",
    filter: ["in", ["geometry-type"], ["literal", ["LineString", "MultiLineString"]]],
    paint: { "line-color": ["get", "colour"], "line-width": 1, "line-dasharray": [3, 3] },
  },
  {
    id: "ellipses-label",
    type: "symbol",
    source: "ellipses",
    filter: ["has", "label"],
    layout: {
      "text-field": ["get", "label"],
      "text-font": FONT,
      "text-size": 12,
      "text-anchor": "top",
      "text-offset": [0, 0.4],
      "text-allow-overlap": true,
      "text-ignore-placement": true,
    },
    paint: LABEL_PAINT,
  },
  {
    id: "incidents-ring",
    type: "circle",
    source: "incidents",
    filter: ["get", "selected"],
    paint: {
      "circle-radius": 18,
      "circle-color": "rgba(0,0,0,0)",
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 2,
    },
  },
  {
    id: "incidents-icon",
    type: "symbol",
    source: "incidents",
    layout: {
      "icon-image": ["get", "image"],
      "icon-size": ["interpolate", ["linear"], ["zoom"], 12, 0.6, 16, 0.9],
      "icon-allow-overlap": true,
      "icon-ignore-placement": true,
      "symbol-sort-key": ["get", "order"],
    },
  },
  {
    id: "movers-line",
    type: "line",
    source: "movers",
    filter: ["==", ["geometry-type"], "LineString"],
    layout: { "line-cap": "round" },
    paint: { "line-color": ["get", "colour"], "line-width": 2.5 },
  },
  {
    id: "movers-tip",
    type: "symbol",
    source: "movers",
    filter: ["==", ["geometry-type"], "Point"],
    layout: {
      "icon-image": ["get", "image"],
      "icon-rotate": ["get", "heading"],
      "icon-rotation-alignment": "map",
      "icon-allow-overlap": true,
      "icon-ignore-placement": true,
      "text-field": ["get", "label"],
      "text-font": FONT,
      "text-size": 11,
      "text-anchor": "left",
      "text-offset": [0.8, 0],
      "text-optional": true,
    },
    paint: LABEL_PAINT,
  },
  {
    id: "vehicles-ring",
    type: "circle",
    source: "vehicles",
    filter: ["get", "selected"],
    paint: {
      "circle-radius": 21,
      "circle-color": ["get", "colour"],
      "circle-opacity": 0.18,
      "circle-stroke-color": ["get", "colour"],
      "circle-stroke-width": 2,
    },
  },
  {
    id: "vehicles-icon",
    type: "symbol",
    source: "vehicles",
    layout: {
      "icon-image": ["get", "image"],
      "icon-rotate": ["get", "heading"],
      "icon-rotation-alignment": "map",
      "icon-allow-overlap": true,
      "icon-ignore-placement": true,
      "text-field": ["get", "label"],
      "text-font": FONT,
      "text-size": 12,
      "text-variable-anchor-offset": ["top", [0, 1.5], "bottom", [0, -1.5], "left", [1.6, 0], "right", [-1.6, 0]],
      "text-justify": "auto",
      "text-optional": true,
      "text-line-height": 1.25,
    },
    paint: LABEL_PAINT,
  },
];

export function baseStyle(): StyleSpecification {
  return {
    version: 8,
    sources: Object.fromEntries(SOURCES.map((name) => [name, { type: "geojson" as const, data: EMPTY }])),
    layers: LAYERS,
  };
}

/** The layers that a switch of the layers menu shows and hides. */
export const SWITCHED: Record<Switch, readonly string[]> = {
  zones: ["zones-fill", "zones-line", "zones-label"],
  buildings: ["buildings-fill"],
  parcels: ["parcels-line"],
  permits: ["permits-line"],
};
export type Switch = "zones" | "buildings" | "parcels" | "permits";
/** Raster layers go below this one. */
export const ABOVE_RASTERS = "parcels-line";
/** What was seen goes below this one. */
export const ABOVE_SEEN = "shapes-line";
