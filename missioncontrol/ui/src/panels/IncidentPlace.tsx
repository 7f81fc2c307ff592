/** How well an incident's place is known: its error ellipse in words, for whom that is not enough, and a look that is. */
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { ErrorEllipse, Incident, Mission, Plan, SecondLook } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useConsole, useLive, useMay } from "../live/context";
import { incidentId } from "../live/store";
import { confidenceScale } from "../map/ellipse";
import { kindColour, standingOf } from "../map/palette";
import { Action, useBusy } from "../parts/controls";
import { EllipseFigure, type ErrorCircle } from "../parts/EllipseFigure";
import { Facts, type Fact } from "../parts/Facts";
import { errorWords, useNotices } from "../parts/notices";

/** What the service proposes, asked anew for each version of an incident that nobody has set aside. */
function useSecondLook(incident: Incident): SecondLook | null {
  const { fail } = useNotices();
  const [found, setFound] = useState<SecondLook | null>(null);
  const id = incidentId(incident);
  const { version, state } = incident.properties;
  useEffect(() => {
    if (standingOf(state) === "closed") return setFound(null);
    let current = true;
    api.incident(id).then((answer) => current && setFound(answer.properties.second_look ?? null), fail);
    return () => {
      current = false;
    };
  }, [id, version, state, fail]);
  return found;
}

/** The flight that the look would be, or why it cannot be planned; only for those who may plan. */
function useFlight(look: SecondLook | null, may: boolean): { plan: Plan | null; problem: string | null } {
  const { t } = useWords();
  const [found, setFound] = useState<{ plan: Plan | null; problem: string | null }>({ plan: null, problem: null });
  useEffect(() => {
    setFound({ plan: null, problem: null });
    if (!may || look === null || look.request === null) return;
    let current = true;
    api.preview(look.request).then(
      (plan) => current && setFound({ plan, problem: null }),
      (error: unknown) => {
        const { title, detail } = errorWords(error, t);
        if (current) setFound({ plan: null, problem: detail || title });
      },
    );
    return () => {
      current = false;
    };
  }, [look, may, t]);
  return found;
}

function Proposal({ look, incident, onMission }: { look: SecondLook; incident: Incident; onMission: (mission: Mission) => void }) {
  const { t, number, duration } = useWords();
  const { store } = useConsole();
  const { vehicles } = useLive();
  const { fail } = useNotices();
  const may = useMay("operator", "administrator");
  const [busy, run] = useBusy(fail);
  const { plan, problem } = useFlight(look, may);
  const metres = (value: number | null): string => t("unit.m", { n: number(value, 1) });
  const facts: Fact[] = [[t("look.now"), metres(look.ce90_m)]];
  for (const need of look.unmet) {
    const who = need.who === "parcel" ? t("look.parcel") : need.who;
    facts.push([t("look.need", { who }), t("look.at_most", { n: number(need.ce90_m, 1) })]);
  }
  if (look.expected_ce90_m !== null) facts.push([t("look.after"), metres(look.expected_ce90_m), look.enough ? undefined : t("look.not_enough")]);
  const [sysid] = look.request?.vehicles ?? [];
  if (sysid !== undefined) {
    facts.push([t("incident.vehicle"), vehicles.get(sysid)?.properties.name ?? `sysid ${sysid}`]);
    facts.push([t("look.from"), t("look.from_value", { height: number(look.height_m), pitch: number(look.pitch_deg) })]);
  }
  if (plan !== null) facts.push([t("look.flight"), duration(plan.duration_s)]);
  const again = (): void =>
    run(async () => {
      const mission = await api.lookAgain(incidentId(incident));
      store.putMission(mission);
      onMission(mission);
    });
  const blocked = !may ? t("why.maintenance") : look.request === null ? t("look.nobody") : null;
  return (
    <div className="second-look" data-second-look>
      <p className="warning">{t("look.why")}</p>
      <Facts facts={facts} />
      {problem !== null && <p className="problem"><Said text={problem} /></p>}
      <div className="row">
        <Action look="primary" blocked={blocked} busy={busy} onClick={again}>
          {t("look.again")}
        </Action>
      </div>
      {look.request === null && <p className="hint">{t("look.nobody")}</p>}
    </div>
  );
}

interface IncidentPlaceProps {
  incident: Incident;
  ellipse: ErrorEllipse;
  onMission: (mission: Mission) => void;
}

export function IncidentPlace({ incident, ellipse, onMission }: IncidentPlaceProps) {
  const { t, number } = useWords();
  const look = useSecondLook(incident);
  const scale = confidenceScale(ellipse.confidence, 0.9);
  const circles: ErrorCircle[] = [];
  if (look !== null) {
    circles.push({ radius_m: look.needed_ce90_m, look: "needed" });
    if (look.expected_ce90_m !== null) circles.push({ radius_m: look.expected_ce90_m, look: "expected" });
  }
  return (
    <section className="incident-place">
      <div className="ellipse-words">
        <EllipseFigure ellipse={ellipse} colour={kindColour(incident.properties.kind)} circles={circles} />
        <div>
          <p>{t("ellipse.words")}</p>
          <p className="dim">
            {t("ellipse.axes", {
              major: number(ellipse.semi_major_m * scale, 1),
              minor: number(ellipse.semi_minor_m * scale, 1),
              bearing: number(ellipse.orientation_deg),
            })}
          </p>
          {circles.map((circle) => (
            <p key={circle.look} className={`key ${circle.look}`}>
              {t(`ellipse.${circle.look}`)}
            </p>
          ))}
        </div>
      </div>
      {look !== null && <Proposal look={look} incident={incident} onMission={onMission} />}
    </section>
  );
}
