/** What is to be planned over: drawn on the map, pasted or uploaded. */
import { useRef, useState, type ChangeEvent } from "react";
import { api } from "../api/client";
import type { Shape } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { alongM, areaM2, shapesIn, type NamedShape } from "../map/geojson";
import { Action, Dialog, useBusy } from "../parts/controls";
import { errorWords } from "../parts/notices";
import { PATTERNS } from "./patterns";
import type { Planning } from "./planning";

interface ShapeInputProps {
  planning: Planning;
  /** A shape that did not come from the map and has to be brought into view. */
  onImported: (shape: Shape) => void;
}

const FORMATS = ".geojson,.json,.kml,.kmz,.gpkg,.zip";
const EXAMPLES: Record<Shape["type"], string> = {
  Polygon: '{"type":"Polygon","coordinates":[[[76.94,43.20], …]]}',
  LineString: '{"type":"LineString","coordinates":[[76.94,43.20], …]}',
  Point: '{"type":"Point","coordinates":[76.94,43.20]}',
  MultiPoint: '{"type":"MultiPoint","coordinates":[[76.94,43.20], …]}',
};

function useSize(): (shape: Shape) => string {
  const { t, number, distance } = useWords();
  return (shape) => {
    switch (shape.type) {
      case "Polygon":
        return t("shape.size.Polygon", {
          ha: number(areaM2(shape.coordinates) / 10_000, 2),
          n: (shape.coordinates[0]?.length ?? 1) - 1,
        });
      case "LineString":
        return t("shape.size.LineString", {
          length: distance(alongM(shape.coordinates).at(-1)),
          n: shape.coordinates.length,
        });
      case "Point":
        return t("shape.size.Point", { lon: number(shape.coordinates[0], 6), lat: number(shape.coordinates[1], 6) });
      case "MultiPoint":
        return t("shape.size.MultiPoint", { n: shape.coordinates.length });
    }
  };
}

/** Which of several shapes is meant. */
function Chooser({ shapes, onChoose, onClose }: { shapes: NamedShape[]; onChoose: (shape: Shape) => void; onClose: () => void }) {
  const { t } = useWords();
  const size = useSize();
  const [chosen, setChosen] = useState(0);
  return (
    <Dialog title={t("shape.choose", { n: shapes.length })} onClose={onClose}>
      <ul className="choices">
        {shapes.map(({ shape, name }, index) => (
          <li key={index}>
            <label className="check">
              <input type="radio" name="shape" checked={index === chosen} onChange={() => setChosen(index)} />
              <span>
                <b>{name || index + 1}</b> <span className="dim">{size(shape)}</span>
              </span>
            </label>
          </li>
        ))}
      </ul>
      <div className="row end">
        <Action onClick={onClose}>{t("action.cancel")}</Action>
        <Action
          look="primary"
          onClick={() => {
            const shape = shapes[chosen]?.shape;
            if (shape !== undefined) onChoose(shape);
          }}
        >
          {t("shape.use")}
        </Action>
      </div>
    </Dialog>
  );
}

export function ShapeInput({ planning, onImported }: ShapeInputProps) {
  const { t } = useWords();
  const size = useSize();
  const file = useRef<HTMLInputElement | null>(null);
  const [pasting, setPasting] = useState(false);
  const [choosing, setChoosing] = useState<NamedShape[]>([]);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail || title);
  });
  const { shape, drawing } = planning;
  const { shape: type } = PATTERNS[planning.draft.kind];

  const use = (found: Shape): void => {
    setChoosing([]);
    planning.put(found, true);
    onImported(found);
  };
  const read = (name: string, content: Blob): void =>
    run(async () => {
      setProblem(null);
      const found = shapesIn(await api.features(name, content), type);
      if (found.length === 0) return setProblem(t(`shape.missing.${type}`));
      setPasting(false);
      if (found.length === 1 && found[0] !== undefined) use(found[0].shape);
      else setChoosing(found);
    });
  const upload = (event: ChangeEvent<HTMLInputElement>): void => {
    const chosen = event.target.files?.[0];
    if (chosen !== undefined) read(chosen.name, chosen);
    event.target.value = "";
  };
  const drawWords = drawing
    ? t(type === "MultiPoint" ? "shape.done" : "action.cancel")
    : t(shape === null ? "shape.draw" : "shape.draw_again");

  return (
    <fieldset>
      <legend>{t(`shape.title.${type}`)}</legend>
      <div className="row">
        <Action
          look={shape === null && !drawing ? "primary" : "normal"}
          aria-pressed={drawing}
          onClick={() => planning.draw(!drawing)}
        >
          {drawWords}
        </Action>
        <Action onClick={() => setPasting(true)}>{t("shape.paste")}</Action>
        <Action busy={busy} onClick={() => file.current?.click()}>
          {t("shape.upload")}
        </Action>
        <input ref={file} type="file" accept={FORMATS} hidden onChange={upload} />
      </div>
      <p className="hint">
        {drawing ? t(`shape.how.${type}`) : shape === null ? t(`shape.none.${type}`) : size(shape)}
        {!drawing && shape !== null && <> {t(`shape.change.${type}`)}</>}
      </p>
      {problem !== null && !pasting && (
        <p className="problem" role="alert">
          <Said text={problem} />
        </p>
      )}
      {choosing.length > 0 && <Chooser shapes={choosing} onChoose={use} onClose={() => setChoosing([])} />}
      {pasting && (
        <Dialog title={t("shape.paste_title")} onClose={() => setPasting(false)}>
          <textarea
            rows={10}
            aria-label={t("shape.paste_title")}
            placeholder={EXAMPLES[type]}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          {problem !== null && (
            <p className="problem" role="alert">
              <Said text={problem} />
            </p>
          )}
          <div className="row end">
            <Action onClick={() => setPasting(false)}>{t("action.cancel")}</Action>
            <Action look="primary" busy={busy} onClick={() => read("pasted.geojson", new Blob([text]))}>
              {t("shape.use")}
            </Action>
          </div>
        </Dialog>
      )}
    </fieldset>
  );
}
