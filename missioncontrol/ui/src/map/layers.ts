/** Layers of the service on the map: rasters below everything else, the newest on top, and changes above them. */
import { Popup, type Map as MapLibreMap, type MapLayerMouseEvent, type RasterTileSource } from "maplibre-gl";
import type { ChangeProperties, Layer } from "../api/types";
import { ABOVE_RASTERS, ABOVE_SEEN } from "./style";

/** How a layer is shown. */
export interface Shown {
  visible: boolean;
  /** 0 to 1. */
  opacity: number;
  /** One of `stylesOf`, or empty for the layer's own. */
  style: string;
}

export const CHANGE_COLOURS: Record<string, string> = {
  new_building: "#e3c341",
  extension: "#f2a65a",
  earthworks: "#c98b5b",
  dump: "#d98e4a",
  vegetation_cleared: "#7ddc82",
  water: "#4a90e2",
  other: "#b0bec5",
};

const idOf = (layer: Layer): string => `layer-${layer.name}`;
const partsOf = (layer: Layer): string[] => (layer.kind === "changes" ? [`${idOf(layer)}-fill`, `${idOf(layer)}-line`] : [idOf(layer)]);

/** Styles to choose from, by name, each with what it adds to the address of a tile. */
export function stylesOf(layer: Layer): Map<string, string> {
  if (layer.kind !== "raster") return new Map();
  if ((layer.bands ?? 3) >= 3) return new Map([["bright", "gamma=1.8"]]);
  const colours = (layer.colors ?? []).map((name): [string, string] => [name, `colors=${name}`]);
  return new Map([...colours, ["relief", "colors=heights&hillshade=2"]]);
}

function tilesOf(layer: Layer, style: string): string[] {
  const address = new URL(layer.tiles ?? "", window.location.origin).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
  return [`${address}?v=${encodeURIComponent(layer.version ?? "")}${style === "" ? "" : `&${stylesOf(layer).get(style) ?? ""}`}`];
}

function add(map: MapLibreMap, layer: Layer): void {
  const id = idOf(layer);
  if (layer.kind === "changes") {
    map.addSource(id, { type: "geojson", data: new URL(layer.features ?? "", window.location.origin).href });
    const colour = ["coalesce", ["get", ["get", "kind"], ["literal", CHANGE_COLOURS]], CHANGE_COLOURS["other"]];
    const [fill = "", line = ""] = partsOf(layer);
    map.addLayer({ id: fill, type: "fill", source: id, paint: { "fill-color": colour as never } }, ABOVE_SEEN);
    map.addLayer({ id: line, type: "line", source: id, paint: { "line-color": colour as never, "line-width": 2 } }, ABOVE_SEEN);
    return;
  }
  map.addSource(id, {
    type: "raster",
    tiles: tilesOf(layer, ""),
    tileSize: 256,
    minzoom: layer.minzoom ?? 0,
    maxzoom: layer.maxzoom ?? 20,
    ...(layer.bounds ? { bounds: layer.bounds } : {}),
  });
  map.addLayer({ id, type: "raster", source: id, paint: { "raster-fade-duration": 0, "raster-brightness-max": 0.85 } }, ABOVE_RASTERS);
}

function remove(map: MapLibreMap, layer: Layer): void {
  for (const part of partsOf(layer)) if (map.getLayer(part) !== undefined) map.removeLayer(part);
  if (map.getSource(idOf(layer)) !== undefined) map.removeSource(idOf(layer));
}

/** Puts the layers of the service on the map in place of those that were there before. */
export function place(map: MapLibreMap, before: readonly Layer[], now: readonly Layer[]): void {
  const same = (layer: Layer): boolean => before.some((one) => one.name === layer.name && one.version === layer.version);
  for (const layer of before) if (!now.some((one) => one.name === layer.name && one.version === layer.version)) remove(map, layer);
  for (const layer of now) if (!same(layer)) add(map, layer);
  for (const layer of [...now].reverse()) if (layer.kind === "raster") map.moveLayer(idOf(layer), ABOVE_RASTERS);
}

export function show(map: MapLibreMap, layer: Layer, { visible, opacity, style }: Shown): void {
  for (const part of partsOf(layer)) {
    if (map.getLayer(part) !== undefined) map.setLayoutProperty(part, "visibility", visible ? "visible" : "none");
  }
  if (layer.kind === "changes") {
    const [fill = "", line = ""] = partsOf(layer);
    map.setPaintProperty(fill, "fill-opacity", 0.35 * opacity);
    map.setPaintProperty(line, "line-opacity", opacity);
    return;
  }
  map.setPaintProperty(idOf(layer), "raster-opacity", opacity);
  const source = map.getSource<RasterTileSource>(idOf(layer));
  const tiles = tilesOf(layer, style);
  if (source !== undefined && (source.serialize() as { tiles: string[] }).tiles[0] !== tiles[0]) source.setTiles(tiles);
}

/** Tells of a change that is clicked; ends by calling what it gives. */
export function tellChanges(
  map: MapLibreMap,
  layer: Layer,
  words: (change: ChangeProperties) => HTMLElement,
  free: () => boolean,
): () => void {
  const popup = new Popup({ closeButton: false, className: "zone-popup", maxWidth: "300px" });
  const click = map.on("click", `${idOf(layer)}-fill`, (event: MapLayerMouseEvent) => {
    const change = event.features?.[0]?.properties as ChangeProperties | undefined;
    if (change !== undefined && free()) popup.setLngLat(event.lngLat).setDOMContent(words(change)).addTo(map);
  });
  return () => {
    click.unsubscribe();
    popup.remove();
  };
}

/** In the order of the menu: the newest first, those without a day last; changes above rasters. */
export function inOrder(layers: readonly Layer[]): Layer[] {
  const rank = (layer: Layer): number => (layer.kind === "changes" ? 0 : 1);
  return [...layers].sort((a, b) => rank(a) - rank(b) || (b.taken ?? "").localeCompare(a.taken ?? "") || a.name.localeCompare(b.name));
}
