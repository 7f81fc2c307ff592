/** Short messages over the console. Errors stay until they are put away; the rest go after a while. */
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { ApiError } from "../api/client";
import { useWords, type Words } from "../i18n";
import { Said } from "../i18n/Said";
import { sentence } from "../i18n/sentences";

type Tone = "good" | "bad" | "plain" | "incident";

interface Notice {
  id: number;
  tone: Tone;
  title: string;
  detail: string;
  open: (() => void) | null;
  about: string | null;
}

export interface Notices {
  /** Shows an error of a request (or any other) with the words it came with. */
  fail: (error: unknown) => void;
  tell: (tone: Tone, title: string, detail?: string, open?: () => void, about?: string) => void;
  /** Takes away what was told about something. */
  settle: (about: string) => void;
}

const STAYS_MS = 8000;
const MOST = 4;
const NoticesContext = createContext<Notices | null>(null);

/** Statuses of refusals that have a name of their own. */
const PROBLEMS = [400, 401, 403, 404, 409, 413, 422, 429, 500, 503] as const;

/** An error in two parts: what did not work, and the service's explanation. */
export function errorWords(error: unknown, t: Words["t"]): { title: string; detail: string } {
  if (error instanceof ApiError) {
    if (error.status === 0) return { title: t("error.unreachable"), detail: error.detail };
    const known = PROBLEMS.find((status) => status === error.status);
    const title = known === undefined ? error.title : t(`problem.${known}`);
    return { title: `${title} (${error.status})`, detail: sentence(error.detail) };
  }
  return { title: t("error.unexpected"), detail: error instanceof Error ? error.message : String(error) };
}

export function NoticesProvider({ children }: { children: ReactNode }) {
  const { t } = useWords();
  const [notices, setNotices] = useState<Notice[]>([]);
  const count = useRef(0);
  const words = useRef(t);
  words.current = t;

  useEffect(() => setNotices((all) => all.filter((notice) => notice.tone === "bad")), [t]);
  const drop = useCallback((id: number) => setNotices((all) => all.filter((notice) => notice.id !== id)), []);
  const tell = useCallback<Notices["tell"]>(
    (tone, title, detail = "", open, about) => {
      const id = ++count.current;
      setNotices((all) => {
        const others = all.filter((notice) => notice.title !== title || notice.detail !== detail);
        return [...others, { id, tone, title, detail, open: open ?? null, about: about ?? null }].slice(-MOST);
      });
      if (tone !== "bad") window.setTimeout(() => drop(id), STAYS_MS);
    },
    [drop],
  );
  const value = useMemo<Notices>(
    () => ({
      tell,
      settle: (about) => setNotices((all) => (all.some((notice) => notice.about === about) ? all.filter((notice) => notice.about !== about) : all)),
      fail: (error) => {
        const { title, detail } = errorWords(error, words.current);
        tell("bad", title, detail);
      },
    }),
    [tell],
  );

  return (
    <NoticesContext.Provider value={value}>
      {children}
      <div className="notices" role="status" aria-live="polite">
        {notices.map((notice) => (
          <div key={notice.id} className={`notice ${notice.tone}`}>
            <div>
              <strong>{notice.title}</strong>
              {notice.detail !== "" && <p><Said text={notice.detail} /></p>}
            </div>
            {notice.open !== null && (
              <button
                type="button"
                onClick={() => {
                  notice.open?.();
                  drop(notice.id);
                }}
              >
                {t("action.show")}
              </button>
            )}
            <button type="button" className="plain" aria-label={t("action.dismiss")} onClick={() => drop(notice.id)}>
              ×
            </button>
          </div>
        ))}
      </div>
    </NoticesContext.Provider>
  );
}

export function useNotices(): Notices {
  const notices = useContext(NoticesContext);
  if (notices === null) throw new Error("used outside of NoticesProvider");
  return notices;
}
