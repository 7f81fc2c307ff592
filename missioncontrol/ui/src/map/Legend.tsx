/** What the colours and marks on the map mean; only of what is on it. */
import type { Incident, Plan } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { KindIcon } from "../parts/icons";
import { AHEAD_S } from "./movement";
import { INCIDENT_KINDS, OTHER_ZONE_COLOUR, ZONE_COLOURS } from "./palette";

/** In a small window the legend would cover the map. */
const OPEN = window.innerHeight >= 800 && window.innerWidth > 1360;

/** Classes of the picture of what was seen. */
const SEEN = ["good", "poor", "never", "built"] as const;

const zoneColour = (kind: string): string => (ZONE_COLOURS as Record<string, string>)[kind] ?? OTHER_ZONE_COLOUR;

interface LegendProps {
  plans: readonly Plan[];
  shapes: boolean;
  seen: boolean;
  zones: readonly string[];
  incidents: readonly Incident[];
}

export function Legend({ plans, shapes, seen, zones, incidents }: LegendProps) {
  const { t, term } = useWords();
  const { vehicles, footprints, movers } = useLive();
  const kinds = INCIDENT_KINDS.filter((kind) => incidents.some((incident) => incident.properties.kind === kind));
  return (
    <details className="map-box legend" open={OPEN}>
      <summary>{t("map.legend")}</summary>
      <ul>
        {vehicles.size > 0 && (
          <li>
            <i className="key-line thick" /> {t("map.track")}
          </li>
        )}
        {plans.length > 0 && (
          <li>
            <i className="key-line" /> {t("map.planned_path")}
          </li>
        )}
        {footprints.size > 0 && (
          <li>
            <i className="key-area seen" /> {t("map.footprint")}
          </li>
        )}
        {movers.size > 0 && (
          <li>
            <i className="key-line mover" /> {t("map.mover", { n: AHEAD_S })}
          </li>
        )}
        {shapes && (
          <li>
            <i className="key-area" /> {t("map.shape")}
          </li>
        )}
        {seen &&
          SEEN.map((how) => (
            <li key={how}>
              <i className={`key-area ${how}`} /> {t(`map.seen.${how}`)}
            </li>
          ))}
        {zones.map((kind) => (
          <li key={kind}>
            <i className="key-area zone" style={{ color: zoneColour(kind) }} /> {t("map.zone", { kind: term("zone", kind) })}
          </li>
        ))}
        {kinds.map((kind) => (
          <li key={kind}>
            <KindIcon kind={kind} /> {term("kind", kind)}
          </li>
        ))}
        {incidents.length > 0 && (
          <>
            <li>
              <i className="key-dot confirmed" /> {t("map.confirmed")}
            </li>
            <li>
              <i className="key-dot closed" /> {t("map.set_aside")}
            </li>
            <li>
              <i className="key-ellipse" /> {t("map.ellipse")}
            </li>
          </>
        )}
      </ul>
    </details>
  );
}
