/**
 * Plays one vehicle's live video into a canvas, each picture together with what was found in it: by WebRTC where that
 * works, else as pictures over a WebSocket, which also bridge the time until it does.
 */
import { ApiError } from "../api/client";
import { parseFrame, type VideoFrame } from "../api/frame";
import { LastingSocket, type SocketState } from "../api/socket";
import type { FrameDetection, FrameHeader } from "../api/types";
import { arrowOf, pixelsOf } from "../map/movement";
import { drawArrow, drawBox } from "./boxes";
import { ageOf, ClockReader } from "./drawnClock";
import { Hold } from "./hold";
import { type Paired, Pairing, strengthOf } from "./pairing";
import { type ShownPicture, shownPicture } from "./shownPicture";
import { WhepViewer } from "./whep";

export type Transport = "connecting" | "webrtc" | "pictures";

export interface PlayerState {
  transport: Transport;
  /** Why there is no video by WebRTC, in the words of whoever refused it. */
  refused: string | null;
  socket: SocketState;
  header: FrameHeader | null;
  /** Whether nothing has come for a while. */
  silent: boolean;
  /** Whether any picture has been drawn yet. */
  painted: boolean;
  /** Moment of exposure of the picture, as far as it is known, s since 1970. */
  utc_s: number | null;
  /** Detections that were drawn over the picture; null where nothing is known of it. */
  found: number | null;
  /** How much older the drawn boxes are than the picture under them, ms; null where there are none for it. */
  boxes_age_ms: number | null;
  /** Age of the picture when it was shown, ms; null where its moment of exposure is unknown or of another clock. */
  latency_ms: number | null;
  /** By the clock drawn in the picture, or estimated from the moment of exposure that came with it. */
  latency_kind: "measured" | "estimate" | null;
}

export const NOTHING: PlayerState = {
  transport: "connecting",
  refused: null,
  socket: "connecting",
  header: null,
  silent: false,
  painted: false,
  utc_s: null,
  found: null,
  boxes_age_ms: null,
  latency_ms: null,
  latency_kind: null,
};

export interface PlayerHandlers {
  state: (state: PlayerState) => void;
  /** What is seen now; null once nothing is any more. */
  seen: (header: FrameHeader | null) => void;
  nameOf: (detection: FrameDetection) => string;
}

/** Without a first picture by WebRTC for so long, it is given up for now, ms. */
const CONNECT_MS = 8000;
/** Without a picture for so long, it is called stale whatever its header said, ms. */
const SILENT_MS = 3000;
/** Where the service has pictures, but none come by WebRTC for so long, it is given up for now, ms. */
const STALLED_MS = 5000;
const FIRST_RETRY_MS = 5000;
const LONGEST_RETRY_MS = 120_000;
const LOOK_MS = 500;
const TELL_MS = 200;
const MEASURE_MS = 200;
const MEASURES = 9;
/** A latency beyond this is a clock that differs (simulated time), not latency, ms. */
const PLAUSIBLE_MS = 60_000;

export class Player {
  private state = NOTHING;
  private viewer: WhepViewer | null = null;
  private socket: LastingSocket;
  private readonly pairing = new Pairing();
  private hold = new Hold();
  private readonly clock = new ClockReader();
  private readonly latencies: number[] = [];
  private next: VideoFrame | null = null;
  private decoding = false;
  private closed = false;
  private painted_ms = 0;
  private heard_ms = 0;
  private measured_ms = 0;
  private telling = 0;
  private trying = 0;
  private pause_ms = FIRST_RETRY_MS;
  private readonly looking: number;

  constructor(
    private readonly sysid: number,
    private readonly canvas: HTMLCanvasElement,
    private readonly video: HTMLVideoElement,
    private readonly handlers: PlayerHandlers,
    private held: boolean,
  ) {
    this.socket = this.listen("");
    this.looking = window.setInterval(() => this.look(), LOOK_MS);
    document.addEventListener("visibilitychange", this.visible);
    void this.connect();
  }

  /** Whether to hold video back until what was found in it is there. */
  holdBack(held: boolean): void {
    this.held = held;
    this.viewer?.hold(held ? this.hold.ms : 0);
  }

  close(): void {
    this.closed = true;
    window.clearInterval(this.looking);
    window.clearTimeout(this.trying);
    window.clearTimeout(this.telling);
    document.removeEventListener("visibilitychange", this.visible);
    this.socket.close();
    this.hangUp();
    this.handlers.seen(null);
  }

  private async connect(): Promise<void> {
    if (!("RTCPeerConnection" in window) || !("requestVideoFrameCallback" in this.video)) {
      this.giveUp("this browser has no WebRTC with frame times");
      return;
    }
    const viewer = new WhepViewer(this.sysid, () => this.giveUp("the connection was lost"));
    this.viewer = viewer;
    this.hold = new Hold();
    this.trying = window.setTimeout(() => this.giveUp(`no picture within ${CONNECT_MS / 1000} s`), CONNECT_MS);
    try {
      this.video.srcObject = viewer.stream;
      this.follow(viewer);
      await viewer.open();
      viewer.hold(0);
      await this.video.play();
    } catch (cause) {
      if (this.viewer !== viewer) return;
      if (cause instanceof ApiError && cause.status === 409) this.pause_ms = FIRST_RETRY_MS;
      this.giveUp(cause instanceof Error ? cause.message : String(cause));
    }
  }

  private follow(viewer: WhepViewer): void {
    this.video.requestVideoFrameCallback((now, picture) => {
      if (this.viewer !== viewer) return;
      const shown = shownPicture(this.video, picture);
      if (shown === null) {
        this.giveUp("this browser does not tell which picture it shows");
        return;
      }
      this.follow(viewer);
      if (!this.webrtc()) this.connected(viewer);
      viewer.hold(this.held ? this.hold.ms : 0);
      if (picture.rtpTimestamp !== undefined) this.hold.picture(picture.rtpTimestamp, picture.receiveTime ?? now);
      this.show(shown, performance.timeOrigin + Math.max(now, picture.expectedDisplayTime));
      shown.close();
    });
  }

  private connected(viewer: WhepViewer): void {
    window.clearTimeout(this.trying);
    this.pause_ms = FIRST_RETRY_MS;
    this.next = null;
    this.latencies.length = 0;
    this.change({ transport: "webrtc", refused: null, latency_ms: null, latency_kind: null });
    this.socket.close();
    this.socket = this.listen(`?pictures=false&viewer=${viewer.id ?? ""}`);
  }

  private giveUp(why: string): void {
    if (this.closed) return;
    const was = this.state.transport;
    this.hangUp();
    this.latencies.length = 0;
    this.change({ transport: "pictures", refused: why, latency_ms: null, latency_kind: null });
    if (was === "webrtc") {
      this.socket.close();
      this.socket = this.listen("");
    }
    window.clearTimeout(this.trying);
    this.trying = window.setTimeout(() => void this.connect(), this.pause_ms * (0.75 + Math.random() / 2));
    this.pause_ms = Math.min(this.pause_ms * 2, LONGEST_RETRY_MS);
  }

  private hangUp(): void {
    this.viewer?.close();
    this.viewer = null;
    this.video.srcObject = null;
  }

  private listen(query: string): LastingSocket {
    return new LastingSocket(`/video/${this.sysid}${query}`, {
      state: (socket) => this.change({ socket }),
      message: (data) => {
        if (!(data instanceof ArrayBuffer)) return;
        const frame = parseFrame(data, Date.now());
        this.heard_ms = performance.now();
        if (this.webrtc()) {
          this.take(frame.header);
          return;
        }
        this.next = frame;
        if (!this.decoding) void this.paintPictures();
      },
    });
  }

  /** What was found in a picture that comes, or came, by WebRTC. */
  private take(header: FrameHeader): void {
    this.pairing.put(header);
    if (header.rtp !== undefined && header.rtp !== null) this.hold.detections(header.rtp, performance.now());
    if (this.held) this.viewer?.hold(this.hold.ms);
    this.change({ header });
    this.handlers.seen(header);
  }

  private show({ image, rtp, width, height }: ShownPicture, shown_ms: number): void {
    const utc_s = this.pairing.utcAt(rtp);
    this.measure(image, width, height, shown_ms, utc_s);
    this.paint(image, width, height, utc_s, this.pairing.at(rtp));
  }

  /** Pictures of the socket; while one is being decoded only the newest of the rest is kept. */
  private async paintPictures(): Promise<void> {
    this.decoding = true;
    while (this.next !== null && !this.closed && !this.webrtc()) {
      const { header, jpeg } = this.next;
      this.next = null;
      if (jpeg.byteLength > 0) {
        try {
          const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
          const now_ms = performance.timeOrigin + performance.now();
          if (!this.closed && !this.webrtc()) {
            this.measure(image, image.width, image.height, now_ms, header.utc_s);
            this.paint(image, image.width, image.height, header.utc_s, { header, age_ms: 0 });
          }
          image.close();
        } catch (cause) {
          console.error(cause);
        }
      }
      if (this.closed) return;
      this.change({ header });
      this.handlers.seen(header);
    }
    this.decoding = false;
  }

  private paint(
    picture: CanvasImageSource,
    width: number,
    height: number,
    utc_s: number | null,
    paired: Paired | null,
  ): void {
    const context = this.canvas.getContext("2d");
    if (context === null || width === 0) return;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    context.drawImage(picture, 0, 0, width, height);
    if (paired !== null) this.paintBoxes(context, paired);
    this.canvas.dataset["boxesAgeMs"] = String(paired?.age_ms ?? "");
    this.painted_ms = performance.now();
    const found = paired?.header.detections.length ?? null;
    this.change({ painted: true, silent: false, utc_s, found, boxes_age_ms: paired?.age_ms ?? null });
  }

  private paintBoxes(context: CanvasRenderingContext2D, { header, age_ms }: Paired): void {
    const width = header.width || this.canvas.width;
    const height = header.height || this.canvas.height;
    const scale = Math.max(width / Math.max(this.canvas.clientWidth, 1), height / Math.max(this.canvas.clientHeight, 1), 1);
    context.save();
    context.scale(this.canvas.width / width, this.canvas.height / height);
    context.globalAlpha = strengthOf(age_ms);
    if (age_ms > 0) context.setLineDash([6 * scale, 4 * scale]);
    const toPixels = pixelsOf(header);
    for (const detection of header.detections) {
      drawBox(context, detection, this.handlers.nameOf(detection), scale, width);
      const { place, motion } = detection;
      const arrow = place && motion && toPixels ? arrowOf(place, motion, toPixels) : null;
      if (arrow !== null) drawArrow(context, detection, arrow, scale);
    }
    context.restore();
  }

  private measure(picture: CanvasImageSource, width: number, height: number, shown_ms: number, utc_s: number | null): void {
    if (performance.now() - this.measured_ms < MEASURE_MS || width === 0) return;
    this.measured_ms = performance.now();
    const drawn = this.clock.read(picture, width, height);
    const kind = drawn !== null ? "measured" : "estimate";
    const age = drawn !== null ? ageOf(drawn, shown_ms) : shown_ms - 1000 * (utc_s ?? Number.NaN);
    if (kind !== this.state.latency_kind) this.latencies.length = 0;
    if (!(Math.abs(age) <= PLAUSIBLE_MS)) {
      this.change({ latency_ms: null, latency_kind: null });
      return;
    }
    this.latencies.push(age);
    if (this.latencies.length > MEASURES) this.latencies.shift();
    const sorted = [...this.latencies].sort((a, b) => a - b);
    this.change({ latency_ms: sorted[Math.floor(sorted.length / 2)] ?? null, latency_kind: kind });
  }

  private webrtc(): boolean {
    return this.state.transport === "webrtc";
  }

  private look(): void {
    const now = performance.now();
    const webrtc = this.webrtc();
    if (now - this.heard_ms > SILENT_MS) this.handlers.seen(null);
    this.change({ silent: now - (webrtc ? this.painted_ms : this.heard_ms) > SILENT_MS });
    if (!webrtc || document.visibilityState !== "visible") return;
    const seen = this.state.header?.state === "live" && now - this.heard_ms < SILENT_MS;
    if (seen && now - this.painted_ms > STALLED_MS) this.giveUp(`no picture for ${STALLED_MS / 1000} s`);
  }

  /** Hidden pages are shown no pictures, which is nobody's fault. */
  private readonly visible = (): void => {
    this.painted_ms = performance.now();
  };

  private change(change: Partial<PlayerState>): void {
    const transported = change.transport !== undefined && change.transport !== this.state.transport;
    this.state = { ...this.state, ...change };
    if (this.closed) return;
    if (transported) this.tell();
    else if (this.telling === 0) this.telling = window.setTimeout(() => this.tell(), TELL_MS);
  }

  private tell(): void {
    window.clearTimeout(this.telling);
    this.telling = 0;
    this.handlers.state(this.state);
  }
}
