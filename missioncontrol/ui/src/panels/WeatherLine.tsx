/** The last observation of the weather, short; whether a vehicle may fly in it. Nothing where no source is set. */
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Sky } from "../api/types";
import { useWords } from "../i18n";
import { sentence } from "../i18n/sentences";

const LOOK_AGAIN_MS = 60_000;

export function WeatherLine() {
  const { t, number, dateTime } = useWords();
  const [sky, setSky] = useState<Sky | null>(null);
  useEffect(() => {
    const load = (): void => {
      api.weather().then(setSky, () => setSky(null));
    };
    load();
    const timer = window.setInterval(load, LOOK_AGAIN_MS);
    return () => window.clearInterval(timer);
  }, []);
  if (sky === null || (sky.observation === null && sky.error === "")) return null;
  const unfit = sky.checks.filter((check) => check.passed !== true);
  const observed = sky.observation;
  const parts =
    observed === null || sky.stale
      ? [t("weather.unknown")]
      : [
          observed.wind_m_s == null ? null : t("weather.wind", { n: number(observed.wind_m_s, 1) }),
          observed.gust_m_s == null ? null : t("weather.gust", { n: number(observed.gust_m_s, 1) }),
          observed.temperature_c == null ? null : t("unit.celsius", { n: number(observed.temperature_c) }),
          observed.rain_mm_h ? t("weather.rain", { n: number(observed.rain_mm_h, 1) }) : null,
        ];
  const title = [
    observed === null ? sky.error : `${observed.source}, ${dateTime(observed.utc)}`,
    ...unfit.map((check) => sentence(check.text)),
  ].join("\n");
  return (
    <span className={unfit.length > 0 ? "weather unfit" : "weather"} title={title}>
      {observed?.wind_from_deg != null && !sky.stale && (
        <svg className="icon" width="14" height="14" viewBox="0 0 24 24" aria-hidden="true">
          <path d="M12 3v17M6 14l6 7 6-7" transform={`rotate(${observed.wind_from_deg} 12 12)`} fill="none" stroke="currentColor" strokeWidth="2.6" />
        </svg>
      )}
      {parts.filter((part) => part !== null).join(" · ")}
      {unfit.length > 0 && <b>{t("weather.unfit")}</b>}
    </span>
  );
}
