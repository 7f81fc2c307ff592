/** A WebSocket that comes back: reopened with growing, jittered pauses until it is closed by its owner. */
import { socketUrl } from "./client";

export type SocketState = "connecting" | "open" | "lost";

export interface SocketHandlers {
  message: (data: unknown) => void;
  state: (state: SocketState) => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

export class LastingSocket {
  private socket: WebSocket | null = null;
  private timer = 0;
  private pause_ms = FIRST_PAUSE_MS;
  private closed = false;

  constructor(
    private readonly path: string,
    private readonly handlers: SocketHandlers,
    /** Called on each loss: a browser does not tell a refused handshake from a dead service. */
    private readonly refused: () => void = () => undefined,
  ) {
    this.open();
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.socket?.close();
  }

  private open(): void {
    const socket = new WebSocket(socketUrl(this.path));
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.pause_ms = FIRST_PAUSE_MS;
      if (!this.closed) this.handlers.state("open");
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (!this.closed) this.handlers.message(event.data);
    };
    socket.onclose = () => {
      if (this.closed) return;
      this.handlers.state("lost");
      this.refused();
      this.timer = window.setTimeout(() => this.open(), this.pause_ms * (0.75 + Math.random() / 2));
      this.pause_ms = Math.min(this.pause_ms * 2, LONGEST_PAUSE_MS);
    };
  }
}
