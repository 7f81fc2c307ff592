/** Drawing and reshaping of one survey area with Terra Draw. */
import type { Map as MapLibreMap } from "maplibre-gl";
import type { Polygon } from "geojson";
import { TerraDraw, TerraDrawPolygonMode, TerraDrawSelectMode } from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";

const PRECISION = 9;
const COLOUR = "#46b1e1";

/** Terra Draw refuses coordinates finer than its precision. */
function rounded(polygon: Polygon): Polygon {
  const round = (value: number | undefined): number => Number((value ?? 0).toFixed(PRECISION));
  return {
    type: "Polygon",
    coordinates: polygon.coordinates.map((ring) => ring.map((place) => [round(place[0]), round(place[1])])),
  };
}

export class AreaDrawing {
  private readonly draw: TerraDraw;
  private shown: Polygon | null = null;

  constructor(map: MapLibreMap, changed: (area: Polygon) => void) {
    this.draw = new TerraDraw({
      adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: PRECISION }),
      modes: [
        new TerraDrawPolygonMode({
          styles: { fillColor: COLOUR, fillOpacity: 0.12, outlineColor: COLOUR, outlineWidth: 2 },
        }),
        new TerraDrawSelectMode({
          flags: {
            polygon: {
              feature: { draggable: false, coordinates: { draggable: true, midpoints: true, deletable: true } },
            },
          },
          styles: {
            selectedPolygonColor: COLOUR,
            selectedPolygonFillOpacity: 0.1,
            selectedPolygonOutlineColor: COLOUR,
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
      const feature = this.draw.getSnapshotFeature(id);
      if (feature?.geometry.type !== "Polygon") return;
      const area: Polygon = { type: "Polygon", coordinates: feature.geometry.coordinates };
      this.shown = area;
      if (this.draw.getMode() === "polygon") {
        this.draw.setMode("select");
        this.draw.selectFeature(id);
      }
      changed(area);
    });
  }

  /** Starts a new polygon; the one shown before is taken away. */
  begin(): void {
    this.draw.clear();
    this.shown = null;
    this.draw.setMode("polygon");
  }

  /** Shows an area to be reshaped, or none. */
  show(area: Polygon | null): void {
    if (area === this.shown) return;
    this.draw.setMode("select");
    this.draw.clear();
    this.shown = area;
    if (area === null || area.coordinates.length > 1) return;
    const [result] = this.draw.addFeatures([
      { type: "Feature", geometry: rounded(area), properties: { mode: "polygon" } },
    ]);
    if (result?.valid === true && result.id !== undefined) this.draw.selectFeature(result.id);
  }

  stop(): void {
    this.draw.stop();
  }
}
