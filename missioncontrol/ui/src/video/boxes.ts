/** Detections drawn into a picture. */
import type { FrameDetection } from "../api/types";
import { detectionColour } from "../map/palette";

/** A label is left out where the box is narrower than this share of it, or drawn fainter than this. */
const LEAST_SHARE = 0.5;
const LEAST_STRENGTH = 0.5;

/** Draws one detection in pixels of the frame; `scale` is frame pixels per pixel of the screen. */
export function drawBox(
  context: CanvasRenderingContext2D,
  detection: FrameDetection,
  name: string,
  scale: number,
  frameWidth: number,
): void {
  const [x0, y0, x1, y1] = detection.box;
  const colour = detectionColour(detection.class);
  context.lineWidth = 2 * scale;
  context.strokeStyle = colour;
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.font = `600 ${11 * scale}px "Noto Sans", "Segoe UI", "DejaVu Sans Condensed", sans-serif`;
  const text = `${name} ${Math.round(detection.score * 100)} %`;
  const width = context.measureText(text).width + 8 * scale;
  const covers = x1 - x0 < LEAST_SHARE * width && detection.motion === undefined;
  if (covers || context.globalAlpha < LEAST_STRENGTH) return;
  const top = y0 >= 17 * scale ? y0 - 17 * scale : y1;
  const left = Math.max(0, Math.min(x0 - scale, frameWidth - width));
  context.fillStyle = colour;
  context.fillRect(left, top, width, 17 * scale);
  context.fillStyle = "#0c1217";
  context.fillText(text, left + 4 * scale, top + 12.5 * scale);
}

const HEAD_PX = 9;

/** Draws where the thing in a box goes, from the middle of the box. */
export function drawArrow(
  context: CanvasRenderingContext2D,
  detection: FrameDetection,
  [right, down]: readonly [number, number],
  scale: number,
): void {
  const [x0, y0, x1, y1] = detection.box;
  const length = Math.hypot(right, down);
  if (length < 1) return;
  const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const head = Math.min(HEAD_PX * scale, length);
  const [along, across] = [right / length, down / length];
  const [tipX, tipY] = [x + right, y + down];
  const barb = (side: number): [number, number] => [
    tipX - head * (along + 0.5 * side * across),
    tipY - head * (across - 0.5 * side * along),
  ];
  context.strokeStyle = detectionColour(detection.class);
  context.lineWidth = 2 * scale;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(tipX, tipY);
  context.moveTo(...barb(1));
  context.lineTo(tipX, tipY);
  context.lineTo(...barb(-1));
  context.stroke();
}
