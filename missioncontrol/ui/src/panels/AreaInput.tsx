/** The survey area: drawn on the map, pasted or uploaded as GeoJSON. */
import type { Polygon } from "geojson";
import { useRef, useState, type ChangeEvent } from "react";
import { useWords } from "../i18n";
import { AreaError, areaFrom, areaM2 } from "../map/geojson";
import { Action, Dialog } from "../parts/controls";

export interface AreaInputProps {
  area: Polygon | null;
  drawing: boolean;
  onDraw: (drawing: boolean) => void;
  /** `moved` is true when the area did not come from the map and has to be brought into view. */
  onArea: (area: Polygon | null, moved: boolean) => void;
}

export function AreaInput({ area, drawing, onDraw, onArea }: AreaInputProps) {
  const { t, number } = useWords();
  const file = useRef<HTMLInputElement | null>(null);
  const [pasting, setPasting] = useState(false);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);

  const read = (source: string): boolean => {
    try {
      onArea(areaFrom(source), true);
      setProblem(null);
      return true;
    } catch (error) {
      if (!(error instanceof AreaError)) throw error;
      setProblem(t(error.key, { detail: error.detail }));
      return false;
    }
  };
  const upload = async (event: ChangeEvent<HTMLInputElement>): Promise<void> => {
    const chosen = event.target.files?.[0];
    event.target.value = "";
    if (chosen !== undefined) read(await chosen.text());
  };

  return (
    <fieldset>
      <legend>{t("area.title")}</legend>
      <div className="row">
        <Action look={area === null && !drawing ? "primary" : "normal"} aria-pressed={drawing} onClick={() => onDraw(!drawing)}>
          {drawing ? t("action.cancel") : area === null ? t("area.draw") : t("area.draw_again")}
        </Action>
        <Action onClick={() => setPasting(true)}>{t("area.paste")}</Action>
        <Action onClick={() => file.current?.click()}>{t("area.upload")}</Action>
        <input ref={file} type="file" accept=".geojson,.json,application/geo+json" hidden onChange={(e) => void upload(e)} />
      </div>
      <p className="hint">
        {drawing
          ? t("area.how_to_draw")
          : area === null
            ? t("area.none")
            : t("area.size", { ha: number(areaM2(area) / 10_000, 2), n: (area.coordinates[0]?.length ?? 1) - 1 })}
      </p>
      {problem !== null && !pasting && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {pasting && (
        <Dialog title={t("area.paste_title")} onClose={() => setPasting(false)}>
          <textarea
            rows={10}
            aria-label={t("area.paste_title")}
            placeholder='{"type":"Polygon","coordinates":[[[76.94,43.20], …]]}'
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          {problem !== null && (
            <p className="problem" role="alert">
              {problem}
            </p>
          )}
          <div className="row end">
            <Action onClick={() => setPasting(false)}>{t("action.cancel")}</Action>
            <Action look="primary" onClick={() => read(text) && setPasting(false)}>
              {t("area.use")}
            </Action>
          </div>
        </Dialog>
      )}
    </fieldset>
  );
}
