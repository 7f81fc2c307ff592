/** The bar on top: connection, clocks, alarms, language, person. */
import { useEffect, useState } from "react";
import { localeOf, useWords, type Words } from "../i18n";
import { useConsole, useLive } from "../live/context";
import { LanguageSwitch } from "../parts/LanguageSwitch";
import { Alarms } from "./Alarms";
import { WeatherLine } from "./WeatherLine";

function clock(now: number, timeZone: string, words: Words): string {
  return new Intl.DateTimeFormat(localeOf(words.language), { timeStyle: "medium", timeZone, hourCycle: "h23" }).format(now);
}

function Clocks() {
  const words = useWords();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return (
    <div className="clocks">
      <span>
        <b>{clock(now, "UTC", words)}</b> UTC
      </span>
      <span>
        <b>{clock(now, "Asia/Almaty", words)}</b> {words.t("header.almaty")}
      </span>
    </div>
  );
}

export function Header({ onLogOut }: { onLogOut: () => void }) {
  const { t, term } = useWords();
  const { person } = useConsole();
  const { connection } = useLive();
  return (
    <header>
      <img src="./icon.svg" alt="" width="22" height="22" />
      <h1>{t("product.name")}</h1>
      <span className={`link ${connection}`} role="status">
        {term("connection", connection)}
      </span>
      <span className="space" />
      <WeatherLine />
      <Clocks />
      <Alarms />
      <LanguageSwitch />
      <div className="person" title={person.roles.map((role) => term("role", role)).join(", ")}>
        <b>{person.name}</b>
        <small>{person.roles.map((role) => term("role", role)).join(", ")}</small>
      </div>
      <button type="button" onClick={onLogOut}>
        {t("header.log_out")}
      </button>
    </header>
  );
}
