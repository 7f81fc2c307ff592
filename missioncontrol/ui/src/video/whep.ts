/** Receives one vehicle's video by WebRTC (WHEP). */
import { ApiError, api } from "../api/client";

/** Candidates of a TURN server are waited for so long, ms. */
const GATHER_MS = 2000;

export class WhepViewer {
  readonly stream = new MediaStream();
  /** Id of the viewer with the service, once it has answered. */
  id: string | null = null;
  private location: string | null = null;
  private connection: RTCPeerConnection | null = null;
  private closed = false;

  constructor(
    private readonly sysid: number,
    /** The connection is lost, or was never made. */
    private readonly lost: () => void,
  ) {
    window.addEventListener("pagehide", this.leave);
  }

  /** Rejects with ApiError where the service refuses, and with whatever the browser throws. */
  async open(): Promise<void> {
    const where = await api.videoAddresses(this.sysid);
    if (where.whep === null) throw new ApiError(406, "not forwarded", where.whep_refused ?? "");
    const servers = where.ice_servers.map((server) => ({
      urls: [...server.urls],
      ...(server.username === null ? {} : { username: server.username }),
      ...(server.password === null ? {} : { credential: server.password }),
    }));
    const connection = new RTCPeerConnection({ iceServers: servers });
    this.connection = connection;
    connection.ontrack = (event) => this.stream.addTrack(event.track);
    connection.onconnectionstatechange = () => {
      if (!this.closed && ["failed", "closed"].includes(connection.connectionState)) this.lost();
    };
    connection.addTransceiver("video", { direction: "recvonly" });
    await connection.setLocalDescription(await connection.createOffer());
    if (servers.length > 0) await gathered(connection);
    const { location, answer } = await api.watchVideo(where.whep, connection.localDescription?.sdp ?? "");
    this.location = location;
    this.id = location.split("/").at(-1) ?? null;
    if (this.closed) this.leave();
    else await connection.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /** Have pictures wait for so long before they are shown, ms. */
  hold(ms: number): void {
    const receiver = this.connection?.getReceivers()[0];
    if (receiver !== undefined && "jitterBufferTarget" in receiver) receiver.jitterBufferTarget = ms;
  }

  close(): void {
    this.closed = true;
    window.removeEventListener("pagehide", this.leave);
    this.leave();
    this.connection?.close();
  }

  private readonly leave = (): void => {
    if (this.location !== null) api.leaveVideo(this.location);
    this.location = null;
  };
}

function gathered(connection: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const timer = window.setTimeout(resolve, GATHER_MS);
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState !== "complete") return;
      window.clearTimeout(timer);
      resolve();
    };
  });
}
