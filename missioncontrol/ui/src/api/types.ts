/** The service's answers, as the console reads them. Heights are metres, angles degrees, times UTC. */
import type { Feature, FeatureCollection, LineString, MultiPoint, Point, Polygon, Position } from "geojson";

export type Role = "operator" | "inspector" | "administrator";

/** A moment as the service writes it: seconds since 1970 or an ISO 8601 string. */
export type Moment = number | string;

export interface Person {
  name: string;
  roles: Role[];
  language: string;
}

export interface Camera {
  slug: string;
  name: string;
  image_width_px?: number;
  image_height_px?: number;
}

export interface VehicleProperties {
  sysid: number;
  name: string;
  registered?: boolean;
  autopilot?: string;
  type?: string;
  state: string;
  mode?: string | null;
  armed?: boolean;
  battery_percent?: number | null;
  voltage_v?: number | null;
  /** Who holds the vehicle, and the fencing token that goes with it. */
  control?: { person: string | null; token: number; since_utc: string | null };
  /** Who else claims the sysid; while that lasts the vehicle gets no commands. */
  conflict?: string | null;
  /** Which ways between it and us carry. */
  link?: "unknown" | "two-way" | "no uplink" | "no downlink";
  height_agl_m?: number | null;
  relative_altitude_m?: number | null;
  ground_speed_m_s?: number | null;
  heading_deg?: number | null;
  gps_fix?: string | number | null;
  satellites?: number | null;
  mission?: { id?: string | null; item?: number | null; total?: number | null } | null;
  video?: boolean;
  camera?: string | null;
  last_heard_utc_s?: number | null;
  loss_percent?: number | null;
  texts?: StatusText[];
  gimbal_pitch_deg?: number | null;
}

/** A STATUSTEXT: bare text, or text with its severity (0 emergency to 7 debug). */
export type StatusText = string | { text: string; severity?: number | string; utc?: Moment; utc_s?: number };

export type Vehicle = Feature<Point | null, VehicleProperties>;

export type ControlAction = "take" | "take_over" | "release" | "hand_over";

export type Command = "hold" | "resume" | "rtl" | "land";

export type CommandRequest =
  | { command: Command | "trigger_camera" }
  | { command: "change_speed"; speed_m_s: number }
  | { command: "change_height"; altitude: { value_m: number; datum: string } }
  | { command: "jump"; item: number }
  | { command: "gimbal"; pitch_deg: number }
  | { command: "emergency_stop"; confirmation?: string };

export interface CommandResult {
  sysid: number;
  command: string;
  state: string;
  text?: string | null;
  /** Of an emergency stop that is only asked back: what to send to have it done. */
  confirmation?: string;
}

/** One question before a flight; passed is null where the answer is not known. */
export interface Check {
  name: string;
  passed: boolean | null;
  limit: string;
  /** What was found, and at its end the limit. */
  text: string;
}

export interface Preflight {
  sysid: number;
  checks: Check[];
}

/** What a pattern is laid over. */
export type Shape = Polygon | LineString | Point | MultiPoint;

export type Pattern =
  | "survey"
  | "corridor"
  | "waypoints"
  | "patrol"
  | "orbit"
  | "facades"
  | "visits"
  | "search"
  | "look"
  | "watch";

/** The name under which a request holds its shape. */
export type ShapeField = "area" | "line" | "place" | "places";

/** What every request holds; the other fields of each pattern stand in `panels/patterns.ts`. */
export interface PlanRequest extends Partial<Record<ShapeField, unknown>> {
  kind: Pattern;
  camera: string;
  gsd_cm?: number;
  height_m?: number;
  vehicles: number[];
  [field: string]: unknown;
}

export interface VehiclePlan {
  sysid: number;
  path: Feature<LineString> | LineString;
  items?: number | unknown[];
  path_m: number;
  duration_s: number;
  energy_wh?: number;
  battery_percent?: number;
  /** Its number among the flights of this vehicle, from 1. */
  sortie?: number;
  /** It takes off so much later than the first of its round, s. */
  delay_s?: number;
}

export interface Plan {
  hash: string;
  lines: number;
  path_m: number;
  photos: number;
  duration_s: number;
  energy_wh?: number;
  sorties: number;
  area_m2: number;
  gsd_cm: { min: number; median: number; max: number };
  plan_s?: number;
  warnings?: string[];
  vehicles: VehiclePlan[];
}

/** One version of a mission's plan, in figures. */
export interface PlanVersion {
  version: number;
  hash: string;
  created_utc: Moment;
  path_m: number;
  duration_s: number;
  approved: boolean;
}

/** The flight of a plan in the simulator: how it goes, and what came of it. */
export interface SimulatedFlight {
  state: "none" | "waiting" | "flying" | "done" | "failed";
  progress: number;
  error: string | null;
  result: {
    wind_m_s: number;
    duration_s: number;
    energy_wh: number;
    photos: number;
    planned_photos: number;
    seen_share?: number | null;
    flights: { failed: string[] }[];
    /** How it differs from the plan, and what failed. */
    words: string[];
  } | null;
}

/** A vehicle, and how soon it shows a place. */
export interface Ranked {
  sysid: number;
  name: string;
  fit: boolean;
  /** What stands against it. */
  against: string[];
  airborne: boolean;
  first_picture_s: number | null;
  gsd_cm: number | null;
}

export interface DispatchRequest {
  place: Point;
  kind: string;
  /** Whether a mission is made and planned for the best. */
  plan: boolean;
}

export interface Dispatched {
  ranking: Ranked[];
  mission: Mission | null;
  text: string;
}

/** Days (YYYY-MM-DD), times of the day (HH:MM:SS) or weekdays (MO to SU) at which nothing is due. */
export interface Blackout {
  first_day?: string | null;
  last_day?: string | null;
  weekdays?: string[];
  begins?: string | null;
  ends?: string | null;
  reason?: string;
}

/** One thing that stands against a coming due time. */
export interface ScheduleConflict {
  kind: string;
  due_utc: Moment;
  /** Ids of the schedules that are concerned. */
  schedules: string[];
  text: string;
}

/** When a mission recurs: an RFC 5545 rule over local times. */
export interface Recurrence {
  rule: string;
  starts: string;
  time_zone: string;
  expires?: string | null;
  blackouts?: Blackout[];
}

export interface NewSchedule {
  name: string;
  purpose: string;
  request: PlanRequest;
  recurrence: Recurrence;
  active?: boolean;
  lead_s?: number;
  late_s?: number;
  catch_up?: string;
  catch_up_most?: number;
  catch_up_within_s?: number;
}

export interface Schedule extends Required<NewSchedule> {
  id: string;
  next_utc: Moment | null;
}

/** What an authority allows, to whom and until when (ISO 8601 with its offset). */
export interface NewPermit {
  number: string;
  authority: string;
  /** Identifiers of the zones it opens. */
  clears: string[];
  highest_agl_m?: number | null;
  bvlos: boolean;
  night: boolean;
  area?: Polygon | null;
  vehicles: number[];
  registrations?: string[];
  valid_from: string;
  valid_until: string;
  note: string;
}

export interface Permit extends Required<NewPermit> {
  id: string;
  revoked_utc: Moment | null;
  documents: { sha256: string; name: string; media_type: string; size: number }[];
}

export interface HistoryEvent {
  utc: Moment;
  person?: string | null;
  event: string;
  /** A note in a person's words, or the facts of the step by name. */
  detail?: string | Record<string, unknown> | null;
}

export interface Progress {
  sysid: number;
  flight?: string;
  stage: string;
  item?: number | null;
  total?: number | null;
  fraction?: number | null;
  text?: string | null;
}

export interface Mission {
  id: string;
  name: string;
  purpose?: string;
  state: string;
  reason?: string | null;
  request?: PlanRequest;
  plan?: Plan | null;
  plan_hash?: string | null;
  history?: HistoryEvent[];
  progress?: Progress[];
  created_utc?: Moment;
}

export type FlightFormat = "tlog" | "geojson" | "kml" | "csv";

/** What the recording of a flight told; null where it does not say. A list of flights leaves out what was heard. */
export interface FlightSummary {
  duration_s: number;
  distance_m: number;
  most_relative_m: number | null;
  most_speed_m_s: number | null;
  battery_percent: number | null;
  energy_wh: number | null;
  worst_loss_percent: number | null;
  vibration_m_s2: number | null;
  alarms?: { utc_s: number; kind: string; text: string }[];
  warnings?: { utc_s: number; severity: number; text: string }[];
  problem: string;
}

export interface Flight {
  id: string;
  mission: string;
  sysid: number;
  registration: string;
  stage: string;
  text: string;
  path_m: number;
  started_utc: Moment;
  ended_utc: Moment | null;
  summary: FlightSummary | null;
}

export type MaintenanceWork = "service" | "battery";

/** Health of the airframe that flies under a sysid now. */
export interface Health {
  registration: string;
  flights: number;
  hours: number;
  distance_m: number;
  battery: {
    cycles: number;
    flights: number;
    resistance: { ohm: number; sigma_ohm: number } | null;
    trend: { ohm_per_cycle: number; sigma_ohm_per_cycle: number; flights: number } | null;
    rising: boolean;
  };
  maintenance: {
    hours: number;
    hours_limit: number;
    cycles: number;
    cycles_limit: number;
    due: boolean;
    last: { utc: Moment; person: string; work: string; note: string } | null;
  };
  alarms: { flight: string; utc: Moment; kind: string; text: string }[];
}

/** Of what it is asked whether it is not there. */
export interface Question {
  kind: string;
  area_m2: number;
  probability: number;
}

/** What the flights of a mission saw; shares are 0 to 1. */
export interface Coverage extends FeatureCollection {
  summary: {
    share: number;
    seen_at_all: number;
    ground_m2: number;
    seen_m2: number;
    built_m2: number;
    frames: number;
    frames_left_out: number;
    gsd_cm: { min: number; median: number; max: number } | null;
    notes: string[];
  };
  /** Corners of its map: north-west, north-east, south-east, south-west. */
  picture: { corners: Corners };
}

export type Corners = [[number, number], [number, number], [number, number], [number, number]];

/** A statement of what is not there, in the languages of the console, and its signature. */
export interface Statement {
  statement: { words: Record<string, string>; [fact: string]: unknown };
  signature: { algorithm: string; public_key: string; value: string };
}

export interface Reflights {
  missions: Mission[];
  pieces_left_out: number;
}

export interface Sky {
  observation: {
    utc: Moment;
    source: string;
    wind_m_s?: number | null;
    wind_from_deg?: number | null;
    gust_m_s?: number | null;
    rain_mm_h?: number | null;
    temperature_c?: number | null;
    visibility_m?: number | null;
  } | null;
  stale: boolean;
  error: string;
  checks: Check[];
}

export interface ErrorEllipse {
  semi_major_m: number;
  semi_minor_m: number;
  orientation_deg: number;
  confidence: number;
}

/** How well a place has to be known by a receiver, or for its `parcel`. */
export interface Need {
  who: string;
  ce90_m: number;
}

/** That a place should be looked at again, and how. */
export interface SecondLook {
  ce90_m: number;
  needed_ce90_m: number;
  unmet: Need[];
  height_m: number | null;
  pitch_deg: number | null;
  expected_ce90_m: number | null;
  /** Whether that satisfies everybody. */
  enough: boolean;
  /** What to plan; null where no vehicle has a camera that is known. */
  request: PlanRequest | null;
}

export interface Receipt {
  sink: string;
  state: string;
  receipt?: string | Record<string, unknown> | null;
  attempts?: number;
  error?: string | null;
}

export interface IncidentProperties {
  id?: string;
  version?: number;
  kind: string;
  state: string;
  lon?: number;
  lat?: number;
  score?: number | null;
  observed_utc?: Moment | null;
  received_utc?: Moment | null;
  severity?: string | null;
  ellipse?: ErrorEllipse | null;
  looks?: number | null;
  vehicle?: number | string | null;
  flight?: string | null;
  mission?: string | null;
  picture?: string | null;
  parcel?: string | Record<string, unknown> | null;
  permit?: string | Record<string, unknown> | null;
  reason?: string | null;
  area_m2?: number | null;
  handoffs?: Receipt[];
  history?: HistoryEvent[];
  /** Only where one incident was asked for. */
  second_look?: SecondLook | null;
}

export type Incident = Feature<Point | Polygon, IncidentProperties>;

/** A raster under the map (`tiles`), or changes between two of them (`features`). */
export interface Layer {
  name: string;
  title: string;
  kind: "raster" | "changes";
  /** Day it shows, as YYYY-MM-DD. */
  taken: string | null;
  /** Another one whenever the file changes. */
  version: string;
  tiles?: string;
  features?: string;
  bounds?: [number, number, number, number] | null;
  minzoom?: number;
  maxzoom?: number;
  bands?: number;
  /** Names of maps of colours. */
  colors?: string[];
}

export interface ChangeProperties {
  kind: string;
  confidence: number;
  area_m2: number;
  statement: string;
}

/** A zone, its limits and times in words. */
export interface ZoneProperties {
  zone: string;
  title: string;
  name: string;
  kind: string;
  active: boolean;
  limits: string;
  times: string;
  message: string;
  conditions: string | null;
  source: string;
}

export type CityTheme = "buildings" | "parcels" | "permits";
export type City = FeatureCollection;

export interface AlarmMessage {
  text: string;
  severity: string;
  utc?: Moment;
}

export type LiveMessage =
  | { type: "snapshot"; vehicles: FeatureCollection | Vehicle[]; missions: Mission[]; incidents: FeatureCollection | Incident[] }
  | { type: "vehicle"; feature: Vehicle }
  | { type: "mission"; mission: Mission }
  | { type: "incident"; feature: Incident }
  | ({ type: "alarm" } & AlarmMessage);

export interface FrameDetection {
  class: string;
  score: number;
  track?: number | null;
  box: [number, number, number, number];
  /** How it moves over the ground, and where it is (lon, lat), where it surely moves. */
  motion?: Motion;
  place?: [number, number];
}

export interface Motion {
  speed_m_s: number;
  speed_sigma_m_s: number;
  /** Clockwise from true north. */
  heading_deg: number;
  heading_sigma_deg: number;
}

export type VideoCondition = "live" | "no_video" | "frozen" | "garbage" | "stale";

export interface FrameHeader {
  utc_s: number | null;
  /** RTP timestamp of the frame in the video of the viewer that was named, once it is known. */
  rtp?: number | null;
  width?: number;
  height?: number;
  detections: FrameDetection[];
  /** What the camera saw of the ground: a closed ring of lon, lat. */
  footprint?: Position[] | null;
  state: VideoCondition;
  /** What is wrong, in the words of the service; empty while the video is live. */
  why?: string;
}

export interface IceServer {
  urls: string[];
  username: string | null;
  password: string | null;
}

/** Where a vehicle's video is to be had. */
export interface VideoAddresses {
  /** Absent where the video is not forwarded. */
  whep: string | null;
  whep_refused: string | null;
  ice_servers: IceServer[];
  rtsp: string | null;
}
