/** Detections drawn into a picture. */
import type { FrameDetection } from "../api/types";
import { kindColour } from "../map/palette";

const CLASS_KINDS: Record<string, string> = {
  flood: "flooding",
  construction: "unauthorized_construction",
  person: "public_disorder",
};

/** Draws one detection in pixels of the frame; `scale` is frame pixels per pixel of the screen. */
export function drawBox(
  context: CanvasRenderingContext2D,
  detection: FrameDetection,
  name: string,
  scale: number,
  frameWidth: number,
): void {
  const [x0, y0, x1, y1] = detection.box;
  const colour = kindColour(CLASS_KINDS[detection.class] ?? detection.class);
  context.lineWidth = 2 * scale;
  context.strokeStyle = colour;
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.font = `600 ${11 * scale}px "Noto Sans", "Segoe UI", "DejaVu Sans Condensed", sans-serif`;
  const text = `${name} ${Math.round(detection.score * 100)} %`;
  const width = context.measureText(text).width + 8 * scale;
  const top = y0 >= 17 * scale ? y0 - 17 * scale : y1;
  const left = Math.max(0, Math.min(x0 - scale, frameWidth - width));
  context.fillStyle = colour;
  context.fillRect(left, top, width, 17 * scale);
  context.fillStyle = "#0c1217";
  context.fillText(text, left + 4 * scale, top + 12.5 * scale);
}
