/** Everything else the telemetry of one vehicle says. */
import type { StatusText, Vehicle } from "../api/types";
import { useWords } from "../i18n";
import { Facts, type Fact } from "../parts/Facts";

const wordsOf = (text: StatusText): string => (typeof text === "string" ? text : text.text);

export function VehicleFacts({ vehicle }: { vehicle: Vehicle }) {
  const { t, term, number, time } = useWords();
  const { properties: p, geometry } = vehicle;
  const [lon, lat, amsl] = geometry?.coordinates ?? [];
  const facts: Fact[] = [
    [t("vehicle.autopilot"), [p.autopilot, p.type].filter(Boolean).join(" · ") || "–"],
    [t("vehicle.armed"), p.armed === true ? t("answer.yes") : t("answer.no")],
    [t("vehicle.place"), geometry === null ? t("vehicle.no_position") : `${number(lon, 6)}, ${number(lat, 6)}`],
    [t("vehicle.amsl"), t("unit.m", { n: number(amsl, 1) })],
    [t("vehicle.height"), t("unit.m", { n: number(p.height_agl_m, 1) })],
    [t("vehicle.above_home"), t("unit.m", { n: number(p.relative_altitude_m, 1) })],
    [t("vehicle.heading"), t("unit.deg", { n: number(p.heading_deg) })],
    [t("vehicle.gimbal"), t("unit.deg", { n: number(p.gimbal_pitch_deg) })],
    [t("vehicle.voltage"), t("unit.v", { n: number(p.voltage_v, 1) })],
    [t("vehicle.satellites"), `${number(p.satellites)} (${term("gps_fix", p.gps_fix === null || p.gps_fix === undefined ? null : String(p.gps_fix))})`],
    [t("vehicle.link"), term("link", p.link ?? null)],
    [t("vehicle.loss"), t("unit.percent", { n: number(p.loss_percent, 1) })],
    [t("vehicle.last_heard"), time(p.last_heard_utc_s)],
  ];
  if (p.mission?.total) facts.push([t("vehicle.mission"), `${p.mission.item ?? 0} / ${p.mission.total}`]);
  if (p.camera) facts.push([t("vehicle.camera"), p.camera]);
  const texts = p.texts ?? [];
  return (
    <>
      <Facts facts={facts} />
      {texts.length > 0 && (
        <>
          <h4>{t("vehicle.texts")}</h4>
          <ol className="texts">
            {texts
              .slice(-6)
              .reverse()
              .map((text, index) => (
                <li key={index}>{wordsOf(text)}</li>
              ))}
          </ol>
        </>
      )}
    </>
  );
}
