/** The binary message of the video socket: a 4-byte big-endian length, a JSON header of that length, then a JPEG. */
import type { FrameHeader } from "./types";

export interface VideoFrame {
  header: FrameHeader;
  jpeg: Uint8Array<ArrayBuffer>;
  /** Local clock when the message arrived, ms since 1970. */
  received_ms: number;
}

export function parseFrame(data: ArrayBuffer, received_ms: number): VideoFrame {
  if (data.byteLength < 4) throw new Error(`video message of ${data.byteLength} bytes has no header length`);
  const length = new DataView(data).getUint32(0, false);
  if (4 + length > data.byteLength) throw new Error(`video header of ${length} bytes runs past the message`);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))) as FrameHeader;
  return { header, jpeg: new Uint8Array(data, 4 + length), received_ms };
}
