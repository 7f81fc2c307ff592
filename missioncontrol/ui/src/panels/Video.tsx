/** Live video of one vehicle, with what was found in it, how it comes and how old it is. */
import { useEffect, useRef, useState } from "react";
import type { FrameDetection, VideoCondition } from "../api/types";
import { useWords } from "../i18n";
import { useConsole } from "../live/context";
import { NOTHING, Player, type PlayerState } from "../video/player";

function verdictOf(state: PlayerState): VideoCondition | "connecting" {
  if (state.header !== null && state.header.state !== "live" && state.header.state !== "stale") return state.header.state;
  if (!state.painted) return state.header !== null || state.socket === "open" ? "no_video" : "connecting";
  const pictures = state.transport !== "webrtc" && (state.socket !== "open" || state.header?.state === "stale");
  return state.silent || pictures ? "stale" : "live";
}

/** A longer delay is told in seconds. */
const LONG_MS = 10_000;

function Latency({ state }: { state: PlayerState }) {
  const { t, number } = useWords();
  if (state.latency_ms === null) {
    return state.utc_s === null ? null : <span title={t("video.latency")}>{t("video.other_clock")}</span>;
  }
  const measured = state.latency_kind === "measured";
  return (
    <span title={t(measured ? "video.latency_measured" : "video.latency_estimate")} data-latency>
      {measured ? "" : "≈ "}
      {state.latency_ms < LONG_MS ? t("unit.ms", { n: number(state.latency_ms) }) : t("unit.s", { n: number(state.latency_ms / 1000) })}
    </span>
  );
}

function Boxes({ state }: { state: PlayerState }) {
  const { t, number } = useWords();
  if (state.boxes_age_ms === null || state.found === null) return <span>{t("video.boxes_none")}</span>;
  return (
    <>
      <span>{t("video.detections", { n: state.found })}</span>
      {state.boxes_age_ms > 0 && <span>{t("video.boxes_older", { n: number(state.boxes_age_ms) })}</span>}
    </>
  );
}

export function Video({ sysid, name, held }: { sysid: number; name: string; held: boolean }) {
  const { t, term, time, number } = useWords();
  const { store } = useConsole();
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const video = useRef<HTMLVideoElement | null>(null);
  const player = useRef<Player | null>(null);
  const [state, setState] = useState<PlayerState>(NOTHING);
  const names = useRef((detection: FrameDetection) => detection.class);
  names.current = (detection) => {
    const speed = detection.motion === undefined ? "" : ` ${t("unit.m_s", { n: number(detection.motion.speed_m_s, 1) })}`;
    return `${term("detection", detection.class)}${speed}`;
  };
  const holding = useRef(held);
  useEffect(() => {
    if (canvas.current === null || video.current === null) return;
    setState(NOTHING);
    const playing = new Player(
      sysid,
      canvas.current,
      video.current,
      {
        state: setState,
        seen: (header) => store.putSeen(sysid, header),
        nameOf: (detection) => names.current(detection),
      },
      holding.current,
    );
    player.current = playing;
    return () => playing.close();
  }, [sysid, store]);
  useEffect(() => {
    holding.current = held;
    player.current?.holdBack(held);
  }, [held]);
  const verdict = verdictOf(state);
  return (
    <figure
      className={`video ${verdict}`}
      data-video={sysid}
      data-state={verdict}
      data-transport={state.transport}
      data-latency-ms={state.latency_ms ?? ""}
      data-latency-kind={state.latency_kind ?? ""}
    >
      <video ref={video} muted playsInline aria-hidden="true" />
      <canvas ref={canvas} width="640" height="360" aria-label={t("video.of", { name })} />
      {verdict !== "live" && (
        <p className="video-state" title={state.header?.why}>
          {term("video_state", verdict)}
        </p>
      )}
      <figcaption>
        <b>{name}</b>
        <span className={`state video-${verdict}`}>{term("video_state", verdict)}</span>
        {state.painted && (
          <>
            <span title={state.refused === null ? undefined : t("video.refused", { why: state.refused })}>
              {term("video_transport", state.transport)}
            </span>
            <span title={t("video.frame_time")}>{time(state.utc_s)}</span>
            <Latency state={state} />
            <Boxes state={state} />
          </>
        )}
      </figcaption>
    </figure>
  );
}
