/** Live video of one vehicle: each JPEG drawn together with the detections that were found in exactly that frame. */
import { useEffect, useRef, useState } from "react";
import { parseFrame, type VideoFrame } from "../api/frame";
import { LastingSocket, type SocketState } from "../api/socket";
import type { FrameDetection, FrameHeader, VideoCondition } from "../api/types";
import { useWords } from "../i18n";
import { useConsole } from "../live/context";
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

/** Draws one detection in pixels of the frame; `scale` is frame pixels per pixel of the screen. */
function drawBox(
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

interface VideoState {
  socket: SocketState;
  header: FrameHeader | null;
  lag_s: number | null;
  silent: boolean;
  /** Whether any picture has been drawn yet. */
  painted: boolean;
}

const NOTHING: VideoState = { socket: "connecting", header: null, lag_s: null, silent: false, painted: false };

/** Feeds the canvas from the socket; while one frame is being decoded only the newest of the rest is kept. */
function useFrames(sysid: number, nameOf: (name: string) => string): [React.RefObject<HTMLCanvasElement | null>, VideoState] {
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const names = useRef(nameOf);
  names.current = nameOf;
  const [state, setState] = useState<VideoState>(NOTHING);
  const { store } = useConsole();
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
      const surface = context.canvas;
      surface.width = image.width;
      surface.height = image.height;
      context.drawImage(image, 0, 0);
      image.close();
      const width = frame.header.width || surface.width;
      const height = frame.header.height || surface.height;
      context.scale(surface.width / width, surface.height / height);
      const scale = Math.max(width / Math.max(surface.clientWidth, 1), height / Math.max(surface.clientHeight, 1), 1);
      for (const detection of frame.header.detections) {
        drawBox(context, detection, names.current(detection.class), scale, width);
      }
    };
    const work = async (): Promise<void> => {
      decoding = true;
      while (next !== null && !closed) {
        const frame = next;
        next = null;
        const pictured = frame.jpeg.byteLength > 0;
        if (pictured) await paint(frame).catch(console.error);
        const lag = frame.received_ms / 1000 - (frame.header.utc_s ?? Number.NaN);
        const lag_s = Math.abs(lag) <= PLAUSIBLE_LAG_S ? lag : null;
        if (closed) return;
        setState((old) => ({ ...old, header: frame.header, lag_s, silent: false, painted: old.painted || pictured }));
        store.putFootprint(sysid, frame.header.footprint ?? null);
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
      store.putFootprint(sysid, null);
    };
  }, [sysid, store]);
  return [canvas, state];
}

function verdictOf(state: VideoState): VideoCondition | "connecting" {
  if (state.header === null) return state.socket === "open" ? "no_video" : "connecting";
  if (state.header.state !== "live" && state.header.state !== "stale") return state.header.state;
  if (!state.painted) return "no_video";
  return state.silent || state.socket !== "open" || state.header.state === "stale" ? "stale" : "live";
}

export function Video({ sysid, name }: { sysid: number; name: string }) {
  const { t, term, time, number } = useWords();
  const [canvas, state] = useFrames(sysid, (each) => term("detection", each));
  const verdict = verdictOf(state);
  return (
    <figure className={`video ${verdict}`} data-video={sysid} data-state={verdict}>
      <canvas ref={canvas} width="640" height="360" aria-label={t("video.of", { name })} />
      {verdict !== "live" && <p className="video-state" title={state.header?.why}>{term("video_state", verdict)}</p>}
      <figcaption>
        <b>{name}</b>
        <span className={`state video-${verdict}`}>{term("video_state", verdict)}</span>
        {state.header !== null && (
          <>
            <span title={t("video.frame_time")}>{time(state.header.utc_s)}</span>
            {state.header.utc_s !== null && (
              <span title={t("video.latency")}>
                {state.lag_s === null ? t("video.other_clock") : t("unit.ms", { n: number(state.lag_s * 1000) })}
              </span>
            )}
            <span>{t("video.detections", { n: state.header.detections.length })}</span>
          </>
        )}
      </figcaption>
    </figure>
  );
}
