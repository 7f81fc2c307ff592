/** Who is at the console: nobody yet, or a person with a live connection. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { api, ApiError, whenUnauthorized } from "./api/client";
import type { Person } from "./api/types";
import { Console } from "./Console";
import { isLanguage, storedLanguage, useWords } from "./i18n";
import { ConsoleContext } from "./live/context";
import { LiveStore } from "./live/store";
import { Login } from "./panels/Login";
import { useNotices } from "./parts/notices";

type Session = "asking" | "none" | Person;

function Signed({ person, onEnd }: { person: Person; onEnd: (ended: boolean) => void }) {
  const { fail } = useNotices();
  const store = useMemo(() => {
    const check = (): void => {
      api.session().catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) onEnd(true);
      });
    };
    return new LiveStore(check);
  }, [onEnd]);
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, [store]);
  const value = useMemo(() => ({ store, person }), [store, person]);
  const logOut = (): void => {
    api.logOut().then(() => onEnd(false), fail);
  };
  return (
    <ConsoleContext.Provider value={value}>
      <Console onLogOut={logOut} />
    </ConsoleContext.Provider>
  );
}

export function App() {
  const { t, setLanguage } = useWords();
  const { fail } = useNotices();
  const [session, setSession] = useState<Session>("asking");
  const [ended, setEnded] = useState(false);

  const leave = useCallback((byService: boolean) => {
    setEnded(byService);
    setSession("none");
  }, []);
  const enter = useCallback(
    (person: Person) => {
      if (storedLanguage() === null && isLanguage(person.language)) setLanguage(person.language);
      setEnded(false);
      setSession(person);
    },
    [setLanguage],
  );
  useEffect(() => {
    whenUnauthorized(() => leave(true));
    api.session().then(enter, (error: unknown) => {
      setSession("none");
      if (!(error instanceof ApiError && error.status === 401)) fail(error);
    });
  }, [enter, leave, fail]);

  if (session === "asking") return <p className="empty">{t("status.loading")}</p>;
  if (session === "none") return <Login note={ended ? t("login.ended") : null} onPerson={enter} />;
  return <Signed person={session} onEnd={leave} />;
}
