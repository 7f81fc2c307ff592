/** Every HTTP request of the console. An answer that is not a success becomes an ApiError with the service's own words. */
import type { Feature, FeatureCollection, LineString } from "geojson";
import type {
  Camera,
  City,
  CityTheme,
  CommandRequest,
  CommandResult,
  ControlAction,
  Coverage,
  Dispatched,
  DispatchRequest,
  Flight,
  FlightFormat,
  Health,
  Incident,
  Layer,
  MaintenanceWork,
  Mission,
  NewPermit,
  NewSchedule,
  Permit,
  Person,
  Plan,
  PlanRequest,
  PlanVersion,
  Preflight,
  Question,
  Reflights,
  Schedule,
  ScheduleConflict,
  SimulatedFlight,
  Sky,
  Statement,
  Vehicle,
  VideoAddresses,
} from "./types";
import type { Views } from "./views";

const PREFIX = "/api/v1";

/** A refusal of the service (RFC 9457 problem details), or status 0 when it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail || title);
  }
}

type Listener = () => void;
let onUnauthorized: Listener = () => undefined;

/** Names what happens when the session has ended on the service's side. */
export function whenUnauthorized(listener: Listener): void {
  onUnauthorized = listener;
}

function problemOf(status: number, statusText: string, body: unknown): ApiError {
  if (typeof body === "object" && body !== null) {
    const problem = body as Record<string, unknown>;
    const title = typeof problem["title"] === "string" ? problem["title"] : statusText;
    const detail = typeof problem["detail"] === "string" ? problem["detail"] : "";
    return new ApiError(status, title, detail);
  }
  return new ApiError(status, statusText || `HTTP ${status}`, typeof body === "string" ? body.slice(0, 300) : "");
}

async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

async function request<T>(method: string, path: string, body?: unknown, type = "application/octet-stream"): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-Requested-With"] = "missioncontrol";
  const raw = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = raw ? type : "application/json";
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (body !== undefined) init.body = raw ? body : JSON.stringify(body);
  let response: Response;
  try {
    response = await fetch(PREFIX + path, init);
  } catch (cause) {
    throw new ApiError(0, "unreachable", cause instanceof Error ? cause.message : String(cause));
  }
  const answer = await bodyOf(response);
  if (!response.ok) {
    const error = problemOf(response.status, response.statusText, answer);
    if (response.status === 401 && path !== "/session") onUnauthorized();
    throw error;
  }
  return answer as T;
}

/** Sends a WebRTC offer (SDP); the answer, and where to end what it began. */
async function offer(path: string, sdp: string): Promise<{ location: string; answer: string }> {
  const headers = { "Content-Type": "application/sdp", "X-Requested-With": "missioncontrol" };
  const response = await fetch(path, { method: "POST", headers, body: sdp, credentials: "same-origin" });
  if (!response.ok) throw problemOf(response.status, response.statusText, await bodyOf(response));
  return { location: response.headers.get("Location") ?? "", answer: await response.text() };
}

const get = <T>(path: string): Promise<T> => request<T>("GET", path);
const post = <T>(path: string, body: unknown = {}): Promise<T> => request<T>("POST", path, body);

export const api = {
  logIn: (name: string, password: string): Promise<Person> => post("/session", { name, password }),
  session: (): Promise<Person> => get("/session"),
  logOut: (): Promise<void> => request("DELETE", "/session"),

  cameras: (): Promise<Camera[]> => get("/cameras"),
  layers: (): Promise<Layer[]> => get("/layers"),
  city: (theme: CityTheme): Promise<City> => get(`/city/${theme}`),

  zones: (): Promise<FeatureCollection> => get("/zones"),

  vehicles: (): Promise<FeatureCollection> => get("/vehicles"),
  track: (sysid: number, seconds: number): Promise<Feature<LineString | null>> =>
    get(`/vehicles/${sysid}/track?seconds=${seconds}`),
  command: (sysid: number, command: CommandRequest): Promise<CommandResult> =>
    post(`/vehicles/${sysid}/commands`, command),
  control: (sysid: number, action: ControlAction, to?: string): Promise<void> =>
    post(`/vehicles/${sysid}/control`, to === undefined ? { action } : { action, to }),

  health: (sysid: number): Promise<Health> => get(`/vehicles/${sysid}/health`),
  maintained: (sysid: number, work: MaintenanceWork, note: string): Promise<Health> =>
    post(`/vehicles/${sysid}/maintenance`, { work, note }),

  flights: (): Promise<Flight[]> => get("/flights"),
  flight: (id: string): Promise<Flight> => get(`/flights/${id}`),

  /** The polygons, lines and points of a file of any format that the service reads. */
  features: (name: string, content: Blob): Promise<FeatureCollection> =>
    post(`/features?name=${encodeURIComponent(name)}`, content),

  preview: (plan: PlanRequest): Promise<Plan> => post("/plans", plan),
  missions: (): Promise<Mission[]> => get("/missions"),
  mission: (id: string): Promise<Mission> => get(`/missions/${id}`),
  createMission: (name: string, purpose: string, plan: PlanRequest): Promise<Mission> =>
    post("/missions", { name, purpose, request: plan }),
  preflight: (id: string): Promise<Preflight[]> => get(`/missions/${id}/preflight`),
  stepMission: (id: string, step: MissionStep): Promise<Mission | undefined> => post(`/missions/${id}/${step}`),

  views: (lon: number, lat: number): Promise<Views> => get(`/views?at=${lon.toFixed(7)},${lat.toFixed(7)}`),
  dispatch: (call: DispatchRequest): Promise<Dispatched> => post("/dispatch", call),

  versions: (id: string): Promise<PlanVersion[]> => get(`/missions/${id}/versions`),
  difference: (id: string, before: number, after: number): Promise<{ words: string[] }> =>
    get(`/missions/${id}/versions/${before}/difference/${after}`),
  simulate: (id: string): Promise<SimulatedFlight> => post(`/missions/${id}/preview`),
  simulation: (id: string): Promise<SimulatedFlight> => get(`/missions/${id}/preview`),

  schedules: (): Promise<Schedule[]> => get("/schedules"),
  scheduleConflicts: (): Promise<ScheduleConflict[]> => get("/schedules/conflicts"),
  createSchedule: (schedule: NewSchedule): Promise<Schedule> => post("/schedules", schedule),
  replaceSchedule: (id: string, schedule: NewSchedule): Promise<Schedule> => request("PUT", `/schedules/${id}`, schedule),
  removeSchedule: (id: string): Promise<void> => request("DELETE", `/schedules/${id}`),

  permits: (): Promise<Permit[]> => get("/permits"),
  addPermit: (permit: NewPermit): Promise<Permit> => post("/permits", permit),
  revokePermit: (id: string): Promise<Permit> => request("DELETE", `/permits/${id}`),
  attachToPermit: (id: string, file: File): Promise<Permit> =>
    request("POST", `/permits/${id}/documents?name=${encodeURIComponent(file.name)}`, file, file.type),

  coverage: (id: string, question: Question): Promise<Coverage> => get(`/missions/${id}/coverage?${queryOf(question)}`),
  stateCoverage: (id: string, question: Question): Promise<Statement> =>
    post(`/missions/${id}/coverage/statement`, question),
  refly: (id: string, question: Question): Promise<Reflights> => post(`/missions/${id}/coverage/refly`, question),

  weather: (): Promise<Sky> => get("/weather"),

  videoAddresses: (sysid: number): Promise<VideoAddresses> => get(`/vehicles/${sysid}/video`),
  watchVideo: offer,
  /** Also while the page is being left. */
  leaveVideo: (location: string): void => {
    const headers = { "X-Requested-With": "missioncontrol" };
    fetch(location, { method: "DELETE", headers, credentials: "same-origin", keepalive: true }).catch(() => undefined);
  },

  incident: (id: string): Promise<Incident> => get(`/incidents/${id}`),
  /** A planned mission that looks again at an incident. */
  lookAgain: (id: string): Promise<Mission> => post(`/incidents/${id}/second-look`),
  confirm: (id: string, note: string): Promise<Incident> =>
    post(`/incidents/${id}/confirm`, note === "" ? {} : { note }),
  reject: (id: string, reason: string): Promise<Incident> => post(`/incidents/${id}/reject`, { reason }),
};

export type MissionStep = "plan" | "approve" | "launch" | "abort";

/** The features of an answer that is either a FeatureCollection or a bare list of features. */
export function featuresOf<F extends Vehicle | Incident>(answer: FeatureCollection | F[]): F[] {
  return (Array.isArray(answer) ? answer : answer.features) as F[];
}

function queryOf(question: Question): string {
  return new URLSearchParams(Object.entries(question).map(([name, value]) => [name, String(value)])).toString();
}

/** Where the map of what was seen is to be had, a picture. */
export const coveragePicture = (id: string, question: Question): string =>
  `${PREFIX}/missions/${id}/coverage.png?${queryOf(question)}`;

/** Where a document of a permit is to be had. */
export const permitDocument = (id: string, sha256: string): string => `${PREFIX}/permits/${id}/documents/${sha256}`;

/** Where a flight is to be had as a file. */
export function flightFile(id: string, format: FlightFormat): string {
  return `${PREFIX}/flights/${id}/export?format=${format}`;
}

/** The WebSocket address of a path of the API, on the host that served this page. */
export function socketUrl(path: string): string {
  const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${window.location.host}${PREFIX}${path}`;
}
