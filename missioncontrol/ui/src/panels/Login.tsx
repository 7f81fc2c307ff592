/** The door: name, password, language. */
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { Person } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { LanguageSwitch } from "../parts/LanguageSwitch";
import { Action, useBusy } from "../parts/controls";
import { errorWords } from "../parts/notices";

export function Login({ note, onPerson }: { note: string | null; onPerson: (person: Person) => void }) {
  const { t } = useWords();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail || title);
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setProblem(null);
    if (!busy) run(async () => onPerson(await api.logIn(name, password)));
  };
  return (
    <main className="login">
      <form onSubmit={submit}>
        <div className="row between">
          <h1>{t("product.name")}</h1>
          <LanguageSwitch />
        </div>
        <p className="dim">{t("product.what")}</p>
        {note !== null && problem === null && <p className="hint">{note}</p>}
        <label>
          {t("login.name")}
          <input value={name} onChange={(e) => setName(e.target.value)} autoComplete="username" required autoFocus />
        </label>
        <label>
          {t("login.password")}
          <input
            type="password"
            value={password}
            onChange={(e) => setPassword(e.target.value)}
            autoComplete="current-password"
            required
          />
        </label>
        {problem !== null && (
          <p className="problem" role="alert">
            <Said text={problem} />
          </p>
        )}
        <Action type="submit" look="primary" busy={busy}>
          {t("login.enter")}
        </Action>
      </form>
    </main>
  );
}
