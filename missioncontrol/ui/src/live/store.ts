/** What the console knows of the running world: fed by the live socket, read by React in batches. */
import type { Position } from "geojson";
import { featuresOf } from "../api/client";
import { LastingSocket, type SocketState } from "../api/socket";
import type { AlarmMessage, FrameDetection, FrameHeader, Incident, LiveMessage, Mission, Vehicle } from "../api/types";

export interface Alarm extends AlarmMessage {
  id: number;
  received_ms: number;
}

export interface LiveState {
  connection: SocketState;
  /** Local clock of the last change of `connection`, ms. */
  since_ms: number;
  loaded: boolean;
  vehicles: ReadonlyMap<number, Vehicle>;
  tracks: ReadonlyMap<number, Position[]>;
  /** What the watched cameras see of the ground now, by sysid. */
  footprints: ReadonlyMap<number, Position[]>;
  /** What surely moves over the ground in their pictures, by the same sysid. */
  movers: ReadonlyMap<number, readonly FrameDetection[]>;
  missions: ReadonlyMap<string, Mission>;
  incidents: ReadonlyMap<string, Incident>;
  alarms: readonly Alarm[];
  /** Ids of incidents that arrived since the console was opened and nobody has looked at yet. */
  fresh: ReadonlySet<string>;
}

const BATCH_MS = 150;
const LONGEST_TRACK = 3000;
/** A track grows by steps of about so much. */
const TRACK_STEP_DEG = 4e-5;
const MOST_ALARMS = 100;

export const incidentId = (incident: Incident): string => String(incident.id ?? incident.properties.id);
export const vehicleId = (vehicle: Vehicle): number => Number(vehicle.id ?? vehicle.properties.sysid);

export class LiveStore {
  private state: LiveState;
  private readonly listeners = new Set<() => void>();
  private readonly waiting: LiveMessage[] = [];
  private readonly arrivals = new Set<(incident: Incident) => void>();
  private timer = 0;
  private alarmCount = 0;
  private socket: LastingSocket | null = null;

  constructor(private readonly refused: () => void) {
    this.state = {
      connection: "connecting",
      since_ms: Date.now(),
      loaded: false,
      vehicles: new Map(),
      tracks: new Map(),
      footprints: new Map(),
      movers: new Map(),
      missions: new Map(),
      incidents: new Map(),
      alarms: [],
      fresh: new Set(),
    };
  }

  start(): void {
    this.socket = new LastingSocket(
      "/live",
      {
        state: (connection) => this.set({ connection, since_ms: Date.now() }),
        message: (data) => this.receive(data),
      },
      this.refused,
    );
  }

  stop(): void {
    this.socket?.close();
    window.clearTimeout(this.timer);
    this.timer = 0;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly read = (): LiveState => this.state;

  /** Calls back once for each incident that was not known before. */
  onArrival(listener: (incident: Incident) => void): () => void {
    this.arrivals.add(listener);
    return () => this.arrivals.delete(listener);
  }

  putMission(mission: Mission): void {
    const known = this.state.missions.get(mission.id);
    this.set({ missions: new Map(this.state.missions).set(mission.id, merged(known, mission)) });
  }

  putIncident(incident: Incident): void {
    this.set({ incidents: withIncident(this.state.incidents, incident) });
  }

  /** Puts the recorded track before what has been seen since the console was opened. */
  putTrack(sysid: number, line: Position[]): void {
    const seen = this.state.tracks.get(sysid) ?? [];
    this.set({ tracks: new Map(this.state.tracks).set(sysid, [...line, ...seen].slice(-LONGEST_TRACK)) });
  }

  /** What a vehicle's video shows now; null where it shows nothing any more. */
  putSeen(sysid: number, header: FrameHeader | null): void {
    const { footprints, movers } = this.state;
    const moving = header?.detections.filter((detection) => detection.motion !== undefined) ?? [];
    this.set({
      footprints: withEntry(footprints, sysid, header?.footprint ?? null),
      movers: withEntry(movers, sysid, moving.length === 0 ? null : moving),
    });
  }

  looked(id: string): void {
    if (!this.state.fresh.has(id)) return;
    const fresh = new Set(this.state.fresh);
    fresh.delete(id);
    this.set({ fresh });
  }

  dropAlarm(id: number): void {
    this.set({ alarms: this.state.alarms.filter((alarm) => alarm.id !== id) });
  }

  clearAlarms(): void {
    this.set({ alarms: [] });
  }

  private receive(data: unknown): void {
    if (typeof data !== "string") return;
    this.waiting.push(JSON.parse(data) as LiveMessage);
    if (this.timer === 0) this.timer = window.setTimeout(() => this.flush(), BATCH_MS);
  }

  private flush(): void {
    this.timer = 0;
    let next = this.state;
    for (const message of this.waiting.splice(0)) next = this.reduce(next, message);
    this.set(next);
  }

  private reduce(state: LiveState, message: LiveMessage): LiveState {
    switch (message.type) {
      case "snapshot": {
        const vehicles = new Map(featuresOf<Vehicle>(message.vehicles).map((v) => [vehicleId(v), v]));
        const incidents = new Map(featuresOf<Incident>(message.incidents).map((i) => [incidentId(i), i]));
        const missions = new Map(message.missions.map((m) => [m.id, merged(state.missions.get(m.id), m)]));
        return { ...state, vehicles, incidents, missions, loaded: true };
      }
      case "vehicle": {
        const sysid = vehicleId(message.feature);
        const vehicles = new Map(state.vehicles).set(sysid, message.feature);
        return { ...state, vehicles, tracks: withPosition(state.tracks, sysid, message.feature) };
      }
      case "mission": {
        const known = state.missions.get(message.mission.id);
        const missions = new Map(state.missions).set(message.mission.id, merged(known, message.mission));
        return { ...state, missions };
      }
      case "incident": {
        const id = incidentId(message.feature);
        const fresh = state.incidents.has(id) ? state.fresh : new Set(state.fresh).add(id);
        if (fresh !== state.fresh) this.arrivals.forEach((listener) => listener(message.feature));
        return { ...state, incidents: withIncident(state.incidents, message.feature), fresh };
      }
      case "alarm": {
        const alarm = { ...message, id: ++this.alarmCount, received_ms: Date.now() };
        return { ...state, alarms: [alarm, ...state.alarms].slice(0, MOST_ALARMS) };
      }
      default:
        return state;
    }
  }

  private set(change: Partial<LiveState>): void {
    this.state = { ...this.state, ...change };
    this.listeners.forEach((listener) => listener());
  }
}

/** News of a mission over what was known of it; a plan that is no longer its plan is forgotten. */
function merged(known: Mission | undefined, news: Mission): Mission {
  const mission = { ...known, ...news };
  if (mission.plan && mission.plan_hash && mission.plan.hash !== mission.plan_hash) delete mission.plan;
  return mission;
}

/** With one entry set, or without it where it is null; the same map where nothing changes. */
function withEntry<V>(entries: ReadonlyMap<number, V>, key: number, value: V | null): ReadonlyMap<number, V> {
  if (value === null && !entries.has(key)) return entries;
  const next = new Map(entries);
  if (value === null) next.delete(key);
  else next.set(key, value);
  return next;
}

function withIncident(incidents: ReadonlyMap<string, Incident>, incident: Incident): Map<string, Incident> {
  const id = incidentId(incident);
  const known = incidents.get(id);
  const older = (known?.properties.version ?? 0) > (incident.properties.version ?? Infinity);
  return older ? new Map(incidents) : new Map(incidents).set(id, incident);
}

function withPosition(
  tracks: ReadonlyMap<number, Position[]>,
  sysid: number,
  vehicle: Vehicle,
): ReadonlyMap<number, Position[]> {
  const place = vehicle.geometry?.coordinates;
  if (place === undefined) return tracks;
  const track = tracks.get(sysid) ?? [];
  const last = track.at(-1);
  const [lon = 0, lat = 0] = place;
  if (last !== undefined && Math.hypot(lon - (last[0] ?? 0), lat - (last[1] ?? 0)) < TRACK_STEP_DEG) return tracks;
  return new Map(tracks).set(sysid, [...track, place].slice(-LONGEST_TRACK));
}
