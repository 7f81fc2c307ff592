/** What a launch would check, as it is now: per vehicle, what fails first. */
import { useState } from "react";
import { api } from "../api/client";
import type { Check, Mission, Preflight as Found } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { sentence } from "../i18n/sentences";
import { useLive } from "../live/context";
import { Action, useBusy } from "../parts/controls";
import { useNotices } from "../parts/notices";

const MARKS = { true: "✓", false: "✗", null: "?" } as const;
/** Not yet aboard before the launch, which uploads them. */
const BY_LAUNCH = new Set(["mission", "fence", "rally", "lost_link", "failsafe.return_height"]);

const rank = (check: Check): number => (check.passed === true ? 2 : BY_LAUNCH.has(check.name) ? 1 : 0);

export function Preflight({ mission, blocked }: { mission: Mission; blocked: string | null }) {
  const { t } = useWords();
  const { fail } = useNotices();
  const { vehicles } = useLive();
  const [busy, run] = useBusy(fail);
  const [found, setFound] = useState<Found[] | null>(null);
  return (
    <div className="preflight">
      <Action busy={busy} blocked={blocked} onClick={() => run(async () => setFound(await api.preflight(mission.id)))}>
        {t(found === null ? "preflight.check" : "preflight.again")}
      </Action>
      {found?.map(({ sysid, checks }) => (
        <div key={sysid}>
          <h4>{vehicles.get(sysid)?.properties.name ?? sysid}</h4>
          <ul className="preflight-checks">
            {checks
              .filter((check) => rank(check) < 2)
              .sort((a, b) => rank(a) - rank(b))
              .map((check) => (
                <li key={check.name} className={`check rank-${rank(check)}`}>
                  <b aria-hidden="true">{MARKS[String(check.passed) as keyof typeof MARKS]}</b> <Said text={check.text} />
                  {rank(check) === 1 && <small> {t("preflight.by_launch")}</small>}
                </li>
              ))}
          </ul>
          <details>
            <summary>{t("preflight.passed", { n: checks.filter((check) => rank(check) === 2).length })}</summary>
            <ul className="preflight-checks">
              {checks
                .filter((check) => rank(check) === 2)
                .map((check) => (
                  <li key={check.name} title={sentence(check.text)}>
                    <b aria-hidden="true">{MARKS.true}</b> <Said text={check.text.slice(0, -(check.limit.length + 2))} />
                  </li>
                ))}
            </ul>
          </details>
        </div>
      ))}
    </div>
  );
}
