/**
 * The clock that simulated cameras draw along the lower edge of their pictures: 32 cells, one white, one black, 24 bits
 * of milliseconds in Gray code, most significant first, and 6 bits that check them.
 */

export const CELLS = 32;
const BITS = 24;
const CHECK_BITS = 6;
const ROUND_MS = 2 ** BITS;
/** The clock covers this share of the picture's height. */
const HEIGHT_SHARE = 1 / 20;
/** A cell is read from the middle of so many pixels. */
const CELL_PX = 4;
const LEAST_CONTRAST = 64;

/** Milliseconds modulo 2 to the 24 from the brightness of the cells (0 to 255); null where it is no clock. */
export function readCells(levels: ArrayLike<number>): number | null {
  const white = levels[0] ?? 0;
  const black = levels[1] ?? 0;
  if (levels.length !== CELLS || white - black < LEAST_CONTRAST) return null;
  const middle = (white + black) / 2;
  const numberOf = (from: number, count: number): number => {
    let number = 0;
    for (let at = from; at < from + count; at++) number = (number << 1) | ((levels[at] ?? 0) > middle ? 1 : 0);
    return number;
  };
  const gray = numberOf(2, BITS);
  const check = (gray ^ (gray >> 6) ^ (gray >> 12) ^ (gray >> 18) ^ 0b101101) & 0b111111;
  if (check !== numberOf(2 + BITS, CHECK_BITS)) return null;
  let value = gray;
  for (const shift of [1, 2, 4, 8, 16]) value ^= value >> shift;
  return value;
}

/** How long before `now_ms` (since 1970) the clock showed a value, ms; negative where it is ahead. */
export function ageOf(value_ms: number, now_ms: number): number {
  const age = (((now_ms - value_ms) % ROUND_MS) + ROUND_MS) % ROUND_MS;
  return age > ROUND_MS / 2 ? age - ROUND_MS : age;
}

/** Reads the clock out of pictures. */
export class ClockReader {
  private readonly context: CanvasRenderingContext2D | null;

  constructor() {
    const canvas = document.createElement("canvas");
    canvas.width = CELLS * CELL_PX;
    canvas.height = 1;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
  }

  /** Milliseconds modulo 2 to the 24 that a picture of that size (px) shows; null where it shows no clock. */
  read(picture: CanvasImageSource, width: number, height: number): number | null {
    if (this.context === null) return null;
    const clock = Math.max(2, Math.round(height * HEIGHT_SHARE));
    this.context.drawImage(picture, 0, height - Math.ceil(clock / 2), width, 1, 0, 0, CELLS * CELL_PX, 1);
    const { data } = this.context.getImageData(0, 0, CELLS * CELL_PX, 1);
    const levels = Array.from({ length: CELLS }, (_, cell) => {
      const at = 4 * (cell * CELL_PX + CELL_PX / 2);
      return ((data[at] ?? 0) + (data[at + 1] ?? 0) + (data[at + 2] ?? 0)) / 3;
    });
    return readCells(levels);
  }
}
