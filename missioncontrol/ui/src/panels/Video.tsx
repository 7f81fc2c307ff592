/** Live video of one vehicle: each JPEG drawn together with the detections that were found in exactly that frame. */
import { useEffect, useRef, useState } from "react";
import { parseFrame, type VideoFrame } from "../api/frame";
import { LastingSocket, type SocketState } from "../api/socket";
import type { FrameDetection, FrameHeader } from "../api/types";
import { useWords } from "../i18n";
import { kindColour } from "../map/palette";

/** Without a message for so long, the picture is called stale whatever its header said. */
const SILENT_MS = 3000;
/** A lag beyond this is a clock that differs (simulated time), not latency. */
const PLAUSIBLE_LAG_S = 60;

const CLASS_KINDS: Record<string, string> = {
  flood: "flooding",
  construction: "unauthorized_construction",
  person: "public_disorder",
};

function drawBox(context: CanvasRenderingContext2D, detection: FrameDetection, name: string, scale: number): void {
  const [x0, y0, x1, y1] = detection.box;
  const colour = kindColour(CLASS_KINDS[detection.class] ?? detection.class);
  context.lineWidth = 2 * scale;
  context.strokeStyle = colour;
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.font = `600 ${12 * scale}px sans-serif`;
  const text = `${name} ${Math.round(detection.score * 100)} %`;
  const width = context.measureText(text).width + 8 * scale;
  const top = y0 >= 17 * scale ? y0 - 17 * scale : y1;
  context.fillStyle = colour;
  context.fillRect(x0 - scale, top, width, 17 * scale);
  context.fillStyle = "#0c1217";
  context.fillText(text, x0 + 3 * scale, top + 12.5 * scale);
}

interface VideoState {
  socket: SocketState;
  header: FrameHeader | null;
  lag_s: number | null;
  silent: boolean;
}

const NOTHING: VideoState = { socket: "connecting", header: null, lag_s: null, silent: false };

/** Feeds the canvas from the socket; while one frame is being decoded only the newest of the rest is kept. */
function useFrames(sysid: number, nameOf: (name: string) => string): [React.RefObject<HTMLCanvasElement | null>, VideoState] {
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const names = useRef(nameOf);
  names.current = nameOf;
  const [state, setState] = useState<VideoState>(NOTHING);
  useEffect(() => {
    let next: VideoFrame | null = null;
    let decoding = false;
    let closed = false;
    let silence = 0;
    setState(NOTHING);

    const paint = async (frame: VideoFrame): Promise<void> => {
      const image = await createImageBitmap(new Blob([frame.jpeg], { type: "image/jpeg" }));
      const context = canvas.current?.getContext("2d");
      if (closed || !context) return;
      const { width, height } = frame.header;
      context.canvas.width = image.width;
      context.canvas.height = image.height;
      context.drawImage(image, 0, 0);
      image.close();
      context.scale(context.canvas.width / (width || context.canvas.width), context.canvas.height / (height || context.canvas.height));
      const scale = (width || context.canvas.width) / Math.max(context.canvas.clientWidth, 1);
      for (const detection of frame.header.detections) {
        drawBox(context, detection, names.current(detection.class), Math.max(scale, 1));
      }
    };
    const work = async (): Promise<void> => {
      decoding = true;
      while (next !== null && !closed) {
        const frame = next;
        next = null;
        if (frame.jpeg.byteLength > 0) await paint(frame).catch(console.error);
        const lag = frame.header.utc_s === null ? Number.NaN : frame.received_ms / 1000 - frame.header.utc_s;
        const lag_s = Math.abs(lag) <= PLAUSIBLE_LAG_S ? lag : null;
        if (!closed) setState((old) => ({ ...old, header: frame.header, lag_s, silent: false }));
      }
      decoding = false;
    };
    const socket = new LastingSocket(`/video/${sysid}`, {
      state: (socketState) => setState((old) => ({ ...old, socket: socketState })),
      message: (data) => {
        if (!(data instanceof ArrayBuffer)) return;
        window.clearTimeout(silence);
        silence = window.setTimeout(() => setState((old) => ({ ...old, silent: true })), SILENT_MS);
        next = parseFrame(data, Date.now());
        if (!decoding) void work();
      },
    });
    return () => {
      closed = true;
      window.clearTimeout(silence);
      socket.close();
    };
  }, [sysid]);
  return [canvas, state];
}

function verdictOf(state: VideoState): "live" | "stale" | "no_video" | "connecting" {
  if (state.header === null) return state.socket === "open" ? "no_video" : "connecting";
  if (state.header.state === "no_video") return "no_video";
  return state.silent || state.socket !== "open" || state.header.state === "stale" ? "stale" : "live";
}

export function Video({ sysid, name }: { sysid: number; name: string }) {
  const { t, term, time, number } = useWords();
  const [canvas, state] = useFrames(sysid, (each) => term("detection", each));
  const verdict = verdictOf(state);
  return (
    <figure className={`video ${verdict}`} data-video={sysid} data-state={verdict}>
      <canvas ref={canvas} width="640" height="360" aria-label={t("video.of", { name })} />
      {verdict !== "live" && <p className="video-state">{term("video_state", verdict)}</p>}
      <figcaption>
        <b>{name}</b>
        <span className={`state video-${verdict}`}>{term("video_state", verdict)}</span>
        {state.header !== null && (
          <>
            <span title={t("video.frame_time")}>{time(state.header.utc_s)}</span>
            <span title={t("video.latency")}>
              {state.lag_s === null ? t("video.other_clock") : t("unit.ms", { n: number(state.lag_s * 1000) })}
            </span>
            <span>{t("video.detections", { n: state.header.detections.length })}</span>
          </>
        )}
      </figcaption>
    </figure>
  );
}
