/** Recorded clips that show a place, as the service tells of them. */
import type { Geometry } from "geojson";

/** The picture of a clip that shows the place best. */
export interface Moment {
  utc: string;
  /** In the clip, s. */
  time_s: number;
  /** Ground sample distance at the place, m. */
  gsd_m: number | null;
  off_nadir_deg: number;
  /** Address of the picture. */
  frame: string;
}

export interface View {
  type: "Feature";
  id: string;
  geometry: Geometry | null;
  properties: {
    sysid: number;
    registration: string;
    purpose: string;
    /** Address of the video. */
    video: string;
    best: Moment;
  };
}

export interface Views {
  features: View[];
  next: number | null;
}
