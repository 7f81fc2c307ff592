/** The layers switch: rasters of the service, buildings, parcels and permits of the city. */
import type { GeoJSONSource, Map as MapLibreMap } from "maplibre-gl";
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { CityTheme, Layer } from "../api/types";
import { useWords } from "../i18n";
import { useNotices } from "../parts/notices";
import { ABOVE_RASTERS, SWITCHED, type Switch } from "./style";

const THEMES: readonly CityTheme[] = ["buildings", "parcels", "permits"];
const SWITCHES: readonly Switch[] = ["zones", ...THEMES];
const rasterId = (layer: Layer): string => `raster-${layer.name}`;

function addRaster(map: MapLibreMap, layer: Layer): void {
  const id = rasterId(layer);
  if (map.getSource(id) !== undefined) return;
  map.addSource(id, {
    type: "raster",
    tiles: [new URL(layer.tiles, window.location.origin).href.replaceAll("%7B", "{").replaceAll("%7D", "}")],
    tileSize: 256,
    minzoom: layer.minzoom ?? 0,
    maxzoom: layer.maxzoom ?? 20,
    ...(layer.bounds ? { bounds: layer.bounds } : {}),
  });
  map.addLayer({ id, type: "raster", source: id, paint: { "raster-fade-duration": 0, "raster-brightness-max": 0.85 } }, ABOVE_RASTERS);
  if (layer.bounds) map.fitBounds(layer.bounds, { padding: 10, duration: 0 });
}

function show(map: MapLibreMap, id: string, visible: boolean): void {
  if (map.getLayer(id) !== undefined) map.setLayoutProperty(id, "visibility", visible ? "visible" : "none");
}

export function LayersMenu({ map }: { map: MapLibreMap }) {
  const { t, term } = useWords();
  const { fail } = useNotices();
  const [layers, setLayers] = useState<Layer[]>([]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set(["parcels", "permits"]));
  const [loaded, setLoaded] = useState<ReadonlySet<CityTheme>>(new Set());

  useEffect(() => {
    let current = true;
    api.layers().then((answer) => {
      if (!current) return;
      for (const layer of answer.filter((each) => each.kind === "raster")) addRaster(map, layer);
      setLayers(answer);
    }, fail);
    return () => {
      current = false;
    };
  }, [map, fail]);

  useEffect(() => {
    const missing = THEMES.filter((theme) => !hidden.has(theme) && !loaded.has(theme));
    if (missing.length === 0) return;
    setLoaded(new Set([...loaded, ...missing]));
    for (const theme of missing) {
      api.city(theme).then((data) => map.getSource<GeoJSONSource>(theme)?.setData(data), fail);
    }
  }, [map, hidden, loaded, fail]);

  useEffect(() => {
    for (const layer of layers) show(map, rasterId(layer), !hidden.has(layer.name));
    for (const each of SWITCHES) SWITCHED[each].forEach((id) => show(map, id, !hidden.has(each)));
  }, [map, layers, hidden]);

  const toggle = (name: string): void => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  const rows = [
    ...layers.map((layer) => ({ name: layer.name, title: term("layer", layer.name) })),
    ...SWITCHES.map((name) => ({ name: name as string, title: term("layer", name) })),
  ];
  return (
    <details className="map-box layers">
      <summary>{t("map.layers")}</summary>
      {rows.map((row) => (
        <label key={row.name} className="check">
          <input type="checkbox" checked={!hidden.has(row.name)} onChange={() => toggle(row.name)} />
          {row.title}
        </label>
      ))}
    </details>
  );
}
