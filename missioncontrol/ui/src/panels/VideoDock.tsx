/** Video under the map: the chosen vehicle, or all of them side by side. */
import { useState } from "react";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { orderOf } from "../map/overlay";
import { Action } from "../parts/controls";
import { Video } from "./Video";

type Extent = "off" | "selected" | "all";
const EXTENTS: readonly Extent[] = ["selected", "all", "off"];

export function VideoDock({ selected }: { selected: number | null }) {
  const { t, term } = useWords();
  const { vehicles } = useLive();
  const [extent, setExtent] = useState<Extent>("selected");
  const [large, setLarge] = useState(false);
  const [held, setHeld] = useState(true);
  const order = orderOf(vehicles);
  const shown = extent === "all" ? order : extent === "selected" && selected !== null ? [selected] : [];
  const crowded = extent === "off" || shown.length > 1;
  return (
    <section className={`dock ${large ? "large" : ""} ${extent === "all" ? "" : "floating"}`} aria-label={t("video.title")}>
      <div className="dock-bar">
        <h2>{t("video.title")}</h2>
        <div role="group" aria-label={t("video.title")}>
          {EXTENTS.map((each) => (
            <button key={each} type="button" aria-pressed={extent === each} onClick={() => setExtent(each)}>
              {term("video_extent", each)}
            </button>
          ))}
          <button type="button" aria-pressed={held} title={t("video.held_why")} onClick={() => setHeld(!held)}>
            {t("video.held")}
          </button>
          <Action aria-pressed={large && !crowded} blocked={crowded ? t("video.large_not") : null} onClick={() => setLarge(!large)}>
            {t("video.large")}
          </Action>
        </div>
      </div>
      {extent !== "off" && (
        <div className="dock-videos">
          {shown.length === 0 && <p className="empty">{t("video.choose")}</p>}
          {shown.map((sysid) => (
            <Video key={sysid} sysid={sysid} name={vehicles.get(sysid)?.properties.name ?? String(sysid)} held={held} />
          ))}
        </div>
      )}
    </section>
  );
}
