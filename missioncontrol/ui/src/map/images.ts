/** Draws the map's marker images, so that no sprite has to be fetched. */
import type { Map as MapLibreMap } from "maplibre-gl";
import { detectionColour, INCIDENT_KINDS, kindColour, kindGlyph, vehicleColour, vehicleGlyph, type Standing } from "./palette";

const RATIO = 2;
const DARK = "#0c1217";
const STANDINGS: readonly Standing[] = ["open", "confirmed", "closed"];
const VEHICLE_COLOUR_COUNT = 8;

type Paint = (context: CanvasRenderingContext2D) => void;

function drawn(size: number, paint: Paint): ImageData {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size * RATIO;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("no 2d canvas");
  context.scale(RATIO, RATIO);
  paint(context);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function vehicleImage(colour: string, faded: boolean): ImageData {
  return drawn(34, (context) => {
    context.translate(5, 5);
    context.globalAlpha = faded ? 0.5 : 1;
    const path = new Path2D(vehicleGlyph);
    context.lineJoin = "round";
    context.strokeStyle = DARK;
    context.lineWidth = 5;
    context.stroke(path);
    context.fillStyle = faded ? DARK : colour;
    context.fill(path);
    context.strokeStyle = faded ? colour : "#ffffff";
    context.lineWidth = 1.4;
    context.stroke(path);
  });
}

function incidentImage(kind: string, standing: Standing): ImageData {
  return drawn(34, (context) => {
    const colour = kindColour(kind);
    context.globalAlpha = standing === "closed" ? 0.65 : 1;
    context.beginPath();
    context.arc(17, 17, 13, 0, 2 * Math.PI);
    context.fillStyle = standing === "closed" ? "#2a333b" : colour;
    context.fill();
    context.lineWidth = standing === "confirmed" ? 3 : 2;
    context.strokeStyle = standing === "confirmed" ? "#ffffff" : DARK;
    context.stroke();
    context.translate(6.2, 6.2);
    context.scale(0.9, 0.9);
    context.lineWidth = 2;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = standing === "closed" ? colour : DARK;
    context.stroke(new Path2D(kindGlyph(kind)));
  });
}

/** Of a thing that moves: the tip of the line that it follows, pointing north. */
function arrowImage(colour: string): ImageData {
  return drawn(16, (context) => {
    const path = new Path2D("M8 2L13.5 13L8 10.5L2.5 13Z");
    context.lineJoin = "round";
    context.strokeStyle = DARK;
    context.lineWidth = 2.5;
    context.stroke(path);
    context.fillStyle = colour;
    context.fill(path);
  });
}

const MOVING = ["person", "vehicle"];
export const arrowImageName = (found: string): string => `arrow-${MOVING.includes(found) ? found : "vehicle"}`;

export const vehicleImageName = (order: number, faded: boolean): string =>
  `vehicle-${Math.max(order, 0) % VEHICLE_COLOUR_COUNT}-${faded ? "faded" : "live"}`;

export function incidentImageName(kind: string, standing: Standing): string {
  return `incident-${(INCIDENT_KINDS as readonly string[]).includes(kind) ? kind : "other"}-${standing}`;
}

export function addImages(map: MapLibreMap): void {
  const add = (name: string, image: ImageData): void => {
    if (!map.hasImage(name)) map.addImage(name, image, { pixelRatio: RATIO });
  };
  for (let order = 0; order < VEHICLE_COLOUR_COUNT; order++) {
    add(vehicleImageName(order, false), vehicleImage(vehicleColour(order), false));
    add(vehicleImageName(order, true), vehicleImage(vehicleColour(order), true));
  }
  for (const found of MOVING) add(arrowImageName(found), arrowImage(detectionColour(found)));
  for (const standing of STANDINGS) {
    for (const kind of INCIDENT_KINDS) add(incidentImageName(kind, standing), incidentImage(kind, standing));
    add(incidentImageName("other", standing), incidentImage("other", standing));
  }
}
