/** Zones of authorities and of our own, as they are in force now; a click tells what they ask. */
import { Popup, type GeoJSONSource, type Map as MapLibreMap, type MapLayerMouseEvent } from "maplibre-gl";
import type { FeatureCollection } from "geojson";
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { ZoneProperties } from "../api/types";
import { useWords, type Words } from "../i18n";
import { useNotices } from "../parts/notices";

const LOOK_AGAIN_MS = 60_000;
const ZONES = "zones";

function told(zone: ZoneProperties, { t, term }: Words): HTMLElement {
  const box = document.createElement("div");
  const line = (tag: string, text: string): void => {
    if (text !== "") box.appendChild(document.createElement(tag)).textContent = text;
  };
  line("b", zone.name || zone.title || zone.zone);
  line("p", `${term("zone", zone.kind)} · ${t(zone.active ? "zone.active" : "zone.inactive")}`);
  line("p", zone.limits);
  line("p", zone.times);
  line("p", zone.message || zone.conditions || "");
  line("small", zone.source);
  return box;
}

/** Answers which kinds of zone there are. */
export function useZones(map: MapLibreMap | null, free: () => boolean): readonly string[] {
  const { fail } = useNotices();
  const [kinds, setKinds] = useState<readonly string[]>([]);
  const words = useRef(useWords());
  words.current = useWords();
  const mayClick = useRef(free);
  mayClick.current = free;
  useEffect(() => {
    if (map === null) return;
    const load = (): void => {
      api.zones().then((data: FeatureCollection) => {
        map.getSource<GeoJSONSource>(ZONES)?.setData(data);
        setKinds([...new Set(data.features.map((zone) => String(zone.properties?.["kind"])))].sort());
      }, fail);
    };
    load();
    const timer = window.setInterval(load, LOOK_AGAIN_MS);
    const popup = new Popup({ closeButton: false, className: "zone-popup", maxWidth: "300px" });
    const click = map.on("click", "zones-fill", (event: MapLayerMouseEvent) => {
      const zone = event.features?.[0]?.properties as ZoneProperties | undefined;
      if (zone !== undefined && mayClick.current()) popup.setLngLat(event.lngLat).setDOMContent(told(zone, words.current)).addTo(map);
    });
    return () => {
      window.clearInterval(timer);
      click.unsubscribe();
      popup.remove();
    };
  }, [map, fail]);
  return kinds;
}
