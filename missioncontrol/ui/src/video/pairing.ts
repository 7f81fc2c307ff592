/** Which detections belong to a picture: those found in that very picture, else those of one shortly before it. */
import type { FrameHeader } from "../api/types";

/** Of RTP timestamps of video. */
export const TICKS_PER_MS = 90;
/** Boxes that are older than the picture by more than this are not drawn over it, ms. */
export const MOST_AGE_MS = 1000;
const MOST_KEPT = 64;

export interface Paired {
  header: FrameHeader;
  /** How much older than the picture; 0 where the detections are of that very picture, ms. */
  age_ms: number;
}

/** From one RTP timestamp to another, in ticks; they count modulo 2 to the 32. */
export const ticksBetween = (from: number, to: number): number => (to - from) | 0;

/** What was found lately, by the RTP timestamp of the picture that it was found in. */
export class Pairing {
  private kept: { rtp: number; header: FrameHeader }[] = [];

  put(header: FrameHeader): void {
    if (header.rtp === undefined || header.rtp === null) return;
    this.kept.push({ rtp: header.rtp, header });
    if (this.kept.length > MOST_KEPT) this.kept.shift();
  }

  /** What to draw over the picture of a timestamp: never what was found in a later one, nor in one too old. */
  at(rtp: number): Paired | null {
    let best: Paired | null = null;
    for (const each of this.kept) {
      const age_ms = ticksBetween(each.rtp, rtp) / TICKS_PER_MS;
      if (age_ms >= 0 && age_ms <= MOST_AGE_MS && (best === null || age_ms < best.age_ms)) {
        best = { header: each.header, age_ms };
      }
    }
    return best;
  }

  /** Moment of exposure of the picture of a timestamp, by the nearest one whose moment is known, s since 1970. */
  utcAt(rtp: number): number | null {
    const timed = this.kept.filter((each) => each.header.utc_s !== null);
    if (timed.length === 0) return null;
    const nearest = timed.reduce((a, b) =>
      Math.abs(ticksBetween(b.rtp, rtp)) < Math.abs(ticksBetween(a.rtp, rtp)) ? b : a,
    );
    return (nearest.header.utc_s ?? 0) + ticksBetween(nearest.rtp, rtp) / TICKS_PER_MS / 1000;
  }
}

/** How strongly boxes of an age are drawn, 1 to 0.25. */
export const strengthOf = (age_ms: number): number => 1 - 0.75 * Math.min(1, age_ms / MOST_AGE_MS);
