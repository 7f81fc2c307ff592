/** How long to hold video back, so that what was found in a picture is there when the picture is shown. */

/** Video is held back by no more than this; what takes longer is drawn late, over later pictures, ms. */
export const MOST_HOLD_MS = 1000;
const MARGIN_MS = 30;
const STEP_MS = 40;
const WINDOW = 24;
const FEWEST = 4;

export class Hold {
  private delays: number[] = [];
  private received = new Map<number, number>();
  private found = new Map<number, number>();
  private now_ms = 0;

  /** What to hold back now, ms. */
  get ms(): number {
    return this.now_ms;
  }

  /** A picture was received, by its RTP timestamp. */
  picture(rtp: number, at_ms: number): void {
    this.pair(at_ms, this.found.get(rtp));
    remember(this.received, rtp, at_ms);
  }

  /** What was found in a picture has come. */
  detections(rtp: number, at_ms: number): void {
    this.pair(this.received.get(rtp), at_ms);
    remember(this.found, rtp, at_ms);
  }

  private pair(received_ms: number | undefined, found_ms: number | undefined): void {
    if (received_ms === undefined || found_ms === undefined) return;
    this.delays = [...this.delays, found_ms - received_ms].slice(-WINDOW);
    if (this.delays.length < FEWEST) return;
    const sorted = [...this.delays].sort((a, b) => a - b);
    const most = (sorted[Math.floor(0.9 * (sorted.length - 1))] ?? 0) + MARGIN_MS;
    const wanted = most > MOST_HOLD_MS ? 0 : Math.max(0, most);
    if (Math.abs(wanted - this.now_ms) >= STEP_MS || wanted === 0) this.now_ms = wanted;
  }
}

function remember(moments: Map<number, number>, rtp: number, at_ms: number): void {
  moments.set(rtp, at_ms);
  if (moments.size > 256) moments.delete(moments.keys().next().value ?? rtp);
}
