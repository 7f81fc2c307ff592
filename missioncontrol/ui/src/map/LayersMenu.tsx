/** The layers switch: maps and changes of the service, and zones, buildings, parcels and permits of the city. */
import type { GeoJSONSource, Map as MapLibreMap } from "maplibre-gl";
import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { ChangeProperties, CityTheme, Layer } from "../api/types";
import { useWords } from "../i18n";
import { WholeIcon } from "../parts/icons";
import { useNotices } from "../parts/notices";
import { inOrder, place, show, stylesOf, tellChanges, type Shown } from "./layers";
import { SWITCHED, type Switch } from "./style";

const THEMES: readonly CityTheme[] = ["buildings", "parcels", "permits"];
const SWITCHES: readonly Switch[] = ["zones", ...THEMES];
const OFF: Shown = { visible: false, opacity: 1, style: "" };

type Choices = Readonly<Record<string, Shown>>;

function LayerRow({ layer, shown, onChange, onFind }: { layer: Layer; shown: Shown; onChange: (shown: Shown) => void; onFind: () => void }) {
  const { t, term, date } = useWords();
  const title = layer.name === "orthophoto" ? t("layer.orthophoto") : layer.title;
  const styles = [...stylesOf(layer).keys()];
  return (
    <div className="layer" data-layer={layer.name}>
      <label className="check">
        <input type="checkbox" checked={shown.visible} onChange={(event) => onChange({ ...shown, visible: event.target.checked })} />
        <span>{title}</span>
        {layer.taken && <time dateTime={layer.taken}>{date(layer.taken)}</time>}
      </label>
      {shown.visible && (
        <div className="layer-look">
          <input
            type="range"
            min="0"
            max="100"
            aria-label={t("layers.opacity", { name: title })}
            title={t("layers.opacity", { name: title })}
            value={Math.round(shown.opacity * 100)}
            onChange={(event) => onChange({ ...shown, opacity: Number(event.target.value) / 100 })}
          />
          {styles.length > 0 && (
            <select
              aria-label={t("layers.style", { name: title })}
              value={shown.style}
              onChange={(event) => onChange({ ...shown, style: event.target.value })}
            >
              <option value="">{t("layers.own_style")}</option>
              {styles.map((style) => (
                <option key={style} value={style}>
                  {term("layer_style", style)}
                </option>
              ))}
            </select>
          )}
          {layer.bounds && (
            <button type="button" className="plain" title={t("layers.find")} aria-label={t("layers.find")} onClick={onFind}>
              <WholeIcon size={13} />
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** The service's layers as they are now; asked for again by calling what it gives. */
function useLayers(map: MapLibreMap): [readonly Layer[], () => void] {
  const { fail } = useNotices();
  const [layers, setLayers] = useState<readonly Layer[]>([]);
  const placed = useRef<readonly Layer[]>([]);
  const load = useCallback(() => {
    api.layers().then((answer) => {
      const now = inOrder(answer);
      place(map, placed.current, now);
      placed.current = now;
      setLayers(now);
    }, fail);
  }, [map, fail]);
  useEffect(load, [load]);
  return [layers, load];
}

/** What of the city is on the map; each theme is fetched when it is first wanted. */
function useCity(map: MapLibreMap): [ReadonlySet<string>, (name: string) => void] {
  const { fail } = useNotices();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set(["parcels", "permits"]));
  const [loaded, setLoaded] = useState<ReadonlySet<CityTheme>>(new Set());
  useEffect(() => {
    const missing = THEMES.filter((theme) => !hidden.has(theme) && !loaded.has(theme));
    if (missing.length === 0) return;
    setLoaded(new Set([...loaded, ...missing]));
    for (const theme of missing) {
      api.city(theme).then((data) => map.getSource<GeoJSONSource>(theme)?.setData(data), fail);
    }
  }, [map, hidden, loaded, fail]);
  useEffect(() => {
    for (const each of SWITCHES) {
      for (const id of SWITCHED[each]) map.setLayoutProperty(id, "visibility", hidden.has(each) ? "none" : "visible");
    }
  }, [map, hidden]);
  const toggle = (name: string): void => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  return [hidden, toggle];
}

/** A change in words, for a popup. */
function useChangeWords(): (change: ChangeProperties) => HTMLElement {
  const { t, term, number } = useWords();
  return (change) => {
    const box = document.createElement("div");
    const line = (tag: string, text: string): void => {
      box.appendChild(document.createElement(tag)).textContent = text;
    };
    line("b", term("change", change.kind));
    line("p", `${t("unit.m2", { n: number(change.area_m2) })} · ${t("incident.score")} ${t("unit.percent", { n: number(change.confidence * 100) })}`);
    line("p", change.statement);
    return box;
  };
}

export function LayersMenu({ map, free }: { map: MapLibreMap; free: () => boolean }) {
  const { t, term } = useWords();
  const [layers, load] = useLayers(map);
  const [hidden, toggle] = useCity(map);
  const [choices, setChoices] = useState<Choices>({});
  const told = useRef(useChangeWords());
  told.current = useChangeWords();
  const mayClick = useRef(free);
  mayClick.current = free;

  const first = layers.find((layer) => layer.kind === "raster");
  const shownOf = (layer: Layer): Shown => choices[layer.name] ?? { ...OFF, visible: layer === first };
  const find = ({ bounds }: Layer, duration = 600): void => {
    if (bounds) map.fitBounds(bounds, { padding: 10, duration });
  };
  const began = useRef(false);
  useEffect(() => {
    if (began.current || first === undefined) return;
    began.current = true;
    find(first, 0);
  }, [first]);
  useEffect(() => {
    for (const layer of layers) show(map, layer, shownOf(layer));
  }, [map, layers, choices]);
  useEffect(() => {
    const ends = layers
      .filter((layer) => layer.kind === "changes")
      .map((layer) => tellChanges(map, layer, (change) => told.current(change), () => mayClick.current()));
    return () => ends.forEach((end) => end());
  }, [map, layers]);

  return (
    <details className="map-box layers" onToggle={(event) => event.currentTarget.open && load()}>
      <summary>{t("map.layers")}</summary>
      {layers.map((layer) => (
        <LayerRow
          key={layer.name}
          layer={layer}
          shown={shownOf(layer)}
          onChange={(shown) => setChoices((before) => ({ ...before, [layer.name]: shown }))}
          onFind={() => find(layer)}
        />
      ))}
      {SWITCHES.map((name) => (
        <label key={name} className="check">
          <input type="checkbox" checked={!hidden.has(name)} onChange={() => toggle(name)} />
          {term("layer", name)}
        </label>
      ))}
    </details>
  );
}
