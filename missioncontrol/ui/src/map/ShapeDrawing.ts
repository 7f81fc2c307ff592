/** Drawing and reshaping of one shape with Terra Draw: a polygon, a line, a place, or several places. */
import type { Map as MapLibreMap } from "maplibre-gl";
import type { Position } from "geojson";
import {
  TerraDraw,
  TerraDrawLineStringMode,
  TerraDrawPointMode,
  TerraDrawPolygonMode,
  TerraDrawSelectMode,
  type GeoJSONStoreFeatures,
} from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";
import type { Shape } from "../api/types";

const PRECISION = 9;
const COLOUR = "#46b1e1";
const MODES = { Polygon: "polygon", LineString: "linestring", Point: "point", MultiPoint: "point" } as const;
const RESHAPED = { feature: { draggable: false, coordinates: { draggable: true, midpoints: true, deletable: true } } };
const MOVED = { feature: { draggable: true } };

type Drawn = Extract<GeoJSONStoreFeatures["geometry"], Shape>;

/** Terra Draw refuses coordinates finer than its precision, and heights. */
function rounded(places: unknown): unknown {
  if (!Array.isArray(places)) return places;
  if (typeof places[0] === "number") return places.slice(0, 2).map((value: number) => Number(value.toFixed(PRECISION)));
  return places.map(rounded);
}

/** What Terra Draw is to hold: several places are as many features. */
function pieces(shape: Shape): Drawn[] {
  if (shape.type === "MultiPoint") {
    return shape.coordinates.map((place) => ({ type: "Point", coordinates: rounded(place) as Position }));
  }
  if (shape.type === "Polygon" && shape.coordinates.length > 1) return [];
  return [{ type: shape.type, coordinates: rounded(shape.coordinates) } as Drawn];
}

export class ShapeDrawing {
  private readonly draw: TerraDraw;
  private shown: Shape | null = null;
  private type: Shape["type"] = "Polygon";
  private drawing = false;
  /** While we clear or fill it ourselves. */
  private ours = false;

  constructor(map: MapLibreMap, changed: (shape: Shape | null, done: boolean) => void) {
    const point = { pointColor: COLOUR, pointWidth: 7, pointOutlineColor: "#ffffff", pointOutlineWidth: 2 } as const;
    this.draw = new TerraDraw({
      adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: PRECISION }),
      modes: [
        new TerraDrawPolygonMode({
          styles: { fillColor: COLOUR, fillOpacity: 0.12, outlineColor: COLOUR, outlineWidth: 2 },
        }),
        new TerraDrawLineStringMode({ styles: { lineStringColor: COLOUR, lineStringWidth: 3 } }),
        new TerraDrawPointMode({ styles: point }),
        new TerraDrawSelectMode({
          flags: { polygon: RESHAPED, linestring: RESHAPED, point: MOVED },
          styles: {
            selectedPolygonColor: COLOUR,
            selectedPolygonFillOpacity: 0.1,
            selectedPolygonOutlineColor: COLOUR,
            selectedLineStringColor: COLOUR,
            selectedLineStringWidth: 3,
            selectedPointColor: COLOUR,
            selectedPointWidth: 8,
            selectedPointOutlineColor: "#ffffff",
            selectedPointOutlineWidth: 3,
            selectionPointColor: "#ffffff",
            selectionPointOutlineColor: COLOUR,
            midPointColor: "#8fd3f0",
            midPointOutlineColor: "#0c1217",
          },
        }),
      ],
    });
    this.draw.start();
    this.draw.setMode("select");
    this.draw.on("finish", (id) => {
      const several = this.drawing && this.type === "MultiPoint";
      this.shown = this.read();
      if (this.drawing && !several) {
        this.drawing = false;
        this.draw.setMode("select");
        this.draw.selectFeature(id);
      }
      changed(this.shown, !several);
    });
    this.draw.on("change", (_, kind) => {
      if (this.ours || this.drawing || kind !== "delete") return;
      const left = this.features().length;
      if (this.shown === null || left === pieces(this.shown).length) return;
      this.shown = this.read();
      changed(this.shown, true);
    });
  }

  /** Starts a new shape; the one shown before is taken away. */
  begin(type: Shape["type"]): void {
    if (this.drawing && type === this.type) return;
    this.clear();
    [this.type, this.shown, this.drawing] = [type, null, true];
    this.draw.setMode(MODES[type]);
  }

  /** Shows a shape to be reshaped, or none. */
  show(shape: Shape | null): void {
    const drew = this.drawing;
    this.drawing = false;
    if (drew) this.draw.setMode("select");
    if (shape === this.shown) return;
    this.clear();
    this.shown = shape;
    if (shape === null) return;
    this.type = shape.type;
    this.ours = true;
    const results = this.draw.addFeatures(
      pieces(shape).map((geometry) => ({ type: "Feature", geometry, properties: { mode: MODES[shape.type] } })),
    );
    const [result] = results;
    if (results.length === 1 && result?.valid === true && result.id !== undefined) this.draw.selectFeature(result.id);
    this.ours = false;
  }

  stop(): void {
    this.draw.stop();
  }

  private clear(): void {
    this.ours = true;
    this.draw.setMode("select");
    this.draw.clear();
    this.ours = false;
  }

  /** What is drawn, without the handles. */
  private features(): Drawn[] {
    return this.draw
      .getSnapshot()
      .filter(({ properties }) => properties["mode"] === MODES[this.type])
      .map(({ geometry }) => geometry as Drawn);
  }

  private read(): Shape | null {
    const drawn = this.features();
    const [first] = drawn;
    if (first === undefined) return null;
    if (this.type !== "MultiPoint") return first;
    return { type: "MultiPoint", coordinates: drawn.map((each) => each.coordinates as Position) };
  }
}
