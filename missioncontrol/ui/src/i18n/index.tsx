/** The three languages of the console, and how it writes numbers and times in them. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Moment } from "../api/types";
import en from "./en.json";
import kk from "./kk.json";
import ru from "./ru.json";
import { speak } from "./sentences";

export type Language = "kk" | "ru" | "en";
export type Key = keyof typeof en;
export const LANGUAGES: readonly Language[] = ["kk", "ru", "en"];
export const LANGUAGE_NAMES: Record<Language, string> = { kk: "Қазақша", ru: "Русский", en: "English" };

const CATALOGUES: Record<Language, Record<Key, string>> = { en, kk, ru };
const STORED = "missioncontrol.language";
const NONE = "–";

type Values = Record<string, string | number>;

export interface Words {
  language: Language;
  setLanguage: (language: Language) => void;
  /** The text of a key, with {names} filled in. */
  t: (key: Key, values?: Values) => string;
  /** The text of `group.name`, or the name itself where the catalogue has none. */
  term: (group: string, name: string | null | undefined) => string;
  number: (value: number | null | undefined, digits?: number) => string;
  time: (moment: Moment | null | undefined) => string;
  date: (moment: Moment | null | undefined) => string;
  dateTime: (moment: Moment | null | undefined) => string;
  duration: (seconds: number | null | undefined) => string;
  distance: (metres: number | null | undefined) => string;
}

const WordsContext = createContext<Words | null>(null);

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.includes(value as Language);
}

/** The language the person chose here before, or null. */
export function storedLanguage(): Language | null {
  const value = window.localStorage.getItem(STORED);
  return isLanguage(value) ? value : null;
}

function firstLanguage(): Language {
  const browser = navigator.language.slice(0, 2);
  return storedLanguage() ?? (isLanguage(browser) ? browser : "en");
}

/** A moment as milliseconds since 1970, or NaN. */
export function millisecondsOf(moment: Moment | null | undefined): number {
  if (moment === null || moment === undefined) return Number.NaN;
  return typeof moment === "number" ? moment * 1000 : Date.parse(moment);
}

/** The locale that writes numbers and times. Browsers lack data for Kazakh, whose conventions here are the Russian ones. */
export const localeOf = (language: Language): string => ({ kk: "ru", ru: "ru", en: "en-GB" })[language];

function fill(text: string, values: Values | undefined): string {
  if (values === undefined) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function wordsOf(language: Language, setLanguage: (language: Language) => void): Words {
  const catalogue = CATALOGUES[language];
  const locale = localeOf(language);
  const t: Words["t"] = (key, values) => fill(catalogue[key], values);
  const number: Words["number"] = (value, digits = 0) =>
    value === null || value === undefined || !Number.isFinite(value)
      ? NONE
      : new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" }).format(value);
  const moment = (value: Moment | null | undefined, options: Intl.DateTimeFormatOptions): string => {
    const ms = millisecondsOf(value);
    return Number.isNaN(ms)
      ? NONE
      : new Intl.DateTimeFormat(locale, { ...options, timeZone: "Asia/Almaty" }).format(ms);
  };
  return {
    language,
    setLanguage,
    t,
    term: (group, name) => {
      if (name === null || name === undefined || name === "") return NONE;
      const key = `${group}.${name}`;
      return key in catalogue ? catalogue[key as Key] : name.replaceAll("_", " ");
    },
    number,
    time: (value) => moment(value, { timeStyle: "medium" }),
    date: (value) => moment(value, { dateStyle: "medium" }),
    dateTime: (value) => moment(value, { dateStyle: "short", timeStyle: "medium" }),
    duration: (seconds) => {
      if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
      const minutes = Math.floor(Math.round(seconds) / 60);
      const rest = String(Math.round(seconds) % 60).padStart(2, "0");
      return `${t("unit.min", { n: minutes })} ${t("unit.s", { n: rest })}`;
    },
    distance: (metres) => {
      if (metres === null || metres === undefined || !Number.isFinite(metres)) return NONE;
      return metres >= 1000 ? t("unit.km", { n: number(metres / 1000, 2) }) : t("unit.m", { n: number(metres) });
    },
  };
}

export function WordsProvider({ children }: { children: ReactNode }) {
  const [language, setLanguageState] = useState<Language>(firstLanguage);
  const setLanguage = useCallback((next: Language) => {
    window.localStorage.setItem(STORED, next);
    setLanguageState(next);
  }, []);
  const [speaking, setSpeaking] = useState<Language>("en");
  useEffect(() => {
    void speak(language).then(() => setSpeaking(language));
  }, [language]);
  const words = useMemo(() => {
    document.documentElement.lang = language;
    return wordsOf(language, setLanguage);
  }, [language, setLanguage, speaking]); // all is said anew once the sentences of a language are there
  return <WordsContext.Provider value={words}>{children}</WordsContext.Provider>;
}

export function useWords(): Words {
  const words = useContext(WordsContext);
  if (words === null) throw new Error("used outside of WordsProvider");
  return words;
}
