/**
 * The picture that a video element shows, with its own RTP timestamp: on a busy machine the element may have gone on to
 * the next picture by the time that its callback tells of one.
 */

export interface ShownPicture {
  image: CanvasImageSource;
  rtp: number;
  width: number;
  height: number;
  close: () => void;
}

/** What browsers know of a frame that came by WebRTC; not all of them tell. */
interface Described {
  metadata?: () => { rtpTimestamp?: number };
}

/** Null where the browser does not tell which picture it shows. `told` is what the callback said. */
export function shownPicture(video: HTMLVideoElement, told: VideoFrameCallbackMetadata): ShownPicture | null {
  if ("VideoFrame" in window) {
    const frame = new VideoFrame(video);
    const rtp = (frame as Described).metadata?.().rtpTimestamp;
    if (rtp !== undefined) {
      return { image: frame, rtp, width: frame.displayWidth, height: frame.displayHeight, close: () => frame.close() };
    }
    frame.close();
  }
  if (told.rtpTimestamp === undefined) return null;
  const { videoWidth: width, videoHeight: height } = video;
  return { image: video, rtp: told.rtpTimestamp, width, height, close: () => undefined };
}
