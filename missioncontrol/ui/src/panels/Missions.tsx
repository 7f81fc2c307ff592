/** The missions: their state, what comes next, how far each vehicle is. */
import { useEffect, useState } from "react";
import { api, type MissionStep } from "../api/client";
import type { Mission } from "../api/types";
import { type Key, useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useConsole, useLive, useMay } from "../live/context";
import { orderOf } from "../map/overlay";
import { vehicleColour } from "../map/palette";
import { Action, Bar, Confirm, useBusy } from "../parts/controls";
import { History } from "../parts/History";
import type { Seen } from "../map/MapView";
import { useNotices } from "../parts/notices";
import { fractionOf, inOrder, isUnderWay, progressOf, stepsOf, type Step } from "./missionSteps";
import { PlanNumbers } from "./PlanNumbers";
import { MissionCoverage, mayBeSeen } from "./MissionCoverage";
import { MissionSimulation, MissionVersions } from "./MissionVersions";
import { Permits } from "./Permits";
import { Preflight } from "./Preflight";
import { Schedules } from "./Schedules";

interface MissionsProps {
  open: string | null;
  onOpen: (id: string | null) => void;
  /** What was seen of the open mission, to be laid over the map. */
  onSeen: (seen: Seen | null) => void;
}

const QUESTIONS: Partial<Record<MissionStep | "withdraw", readonly [Key, Key]>> = {
  abort: ["mission.abort_ask", "mission.abort_warning"],
  withdraw: ["mission.withdraw_ask", "mission.withdraw_warning"],
};

function Steps({ mission }: { mission: Mission }) {
  const { t, term } = useWords();
  const { store, person } = useConsole();
  const { fail } = useNotices();
  const [busy, run] = useBusy(fail);
  const [asked, setAsked] = useState<Step | null>(null);
  const take = ({ step }: Step): void =>
    run(async () => {
      const answer = await api.stepMission(mission.id, step);
      store.putMission(answer?.id === undefined ? await api.mission(mission.id) : answer);
    });
  const why = (step: Step): string | null =>
    step.roles.some((role) => person.roles.includes(role)) ? null : t(`why.${step.roles[0] ?? "operator"}`);
  const steps = stepsOf(mission);
  /** What the step is called: a mission that is not flown yet is not aborted but withdrawn. */
  const nameOf = ({ step }: Step): MissionStep | "withdraw" =>
    step === "abort" && !isUnderWay(mission) ? "withdraw" : step;
  const forbidden = steps.map(why).find((text) => text !== null) ?? null;
  return (
    <div className="row">
      {steps.map((step) => (
        <Action
          key={step.step}
          look={nameOf(step) === "withdraw" ? "normal" : step.step === "abort" ? "danger" : "primary"}
          busy={busy}
          blocked={why(step)}
          onClick={() => (step.asks ? setAsked(step) : take(step))}
        >
          {step.step === "launch" && mission.reason ? t("mission.launch_again") : term("mission_step", nameOf(step))}
        </Action>
      ))}
      {forbidden !== null && <p className="hint">{forbidden}</p>}
      {asked !== null && (
        <Confirm
          title={t(QUESTIONS[nameOf(asked)]?.[0] ?? "mission.launch_ask", { name: mission.name })}
          text={t(QUESTIONS[nameOf(asked)]?.[1] ?? "mission.launch_warning")}
          action={term("mission_step", nameOf(asked))}
          danger={asked.step === "abort"}
          onConfirm={() => take(asked)}
          onClose={() => setAsked(null)}
        />
      )}
    </div>
  );
}

function ProgressBars({ mission }: { mission: Mission }) {
  const { term, number } = useWords();
  const { vehicles } = useLive();
  const order = orderOf(vehicles);
  return (
    <ul className="progress">
      {progressOf(mission).map((progress) => {
        const name = vehicles.get(progress.sysid)?.properties.name ?? String(progress.sysid);
        return (
          <li key={progress.sysid}>
            <span>
              <b>{name}</b> {term("stage", progress.stage)}
              {progress.total ? <span className="dim"> {`${number(progress.item)} / ${number(progress.total)}`}</span> : null}
            </span>
            <Bar fraction={fractionOf(progress)} colour={vehicleColour(order.indexOf(progress.sysid))} label={name} />
            {progress.text && <small><Said text={progress.text} /></small>}
          </li>
        );
      })}
    </ul>
  );
}

interface MissionCardProps extends Omit<MissionsProps, "open"> {
  mission: Mission;
  open: boolean;
}

function MissionCard({ mission, open, onOpen, onSeen }: MissionCardProps) {
  const { t, term } = useWords();
  const may = useMay("operator");
  return (
    <li className={open ? "card open" : "card"} data-mission={mission.id}>
      <button type="button" className="card-head" aria-expanded={open} onClick={() => onOpen(open ? null : mission.id)}>
        <span className="vehicle-name">
          <b>{mission.name}</b>
          <span className={`state mission-${mission.state}`}>{term("mission_state", mission.state)}</span>
        </span>
      </button>
      <div className="card-body">
        {mission.reason &&
          (mission.state === "approved" ? (
            <p className="warning" role="status">
              {t("mission.between")} <small><Said text={mission.reason} /></small>
            </p>
          ) : (
            <p className="problem"><Said text={mission.reason} /></p>
          ))}
        <Steps mission={mission} />
        {open && mission.state === "approved" && !isUnderWay(mission) && (
          <Preflight mission={mission} blocked={may ? null : t("why.operator")} />
        )}
        <ProgressBars mission={mission} />
        {open && (
          <>
            {mission.purpose && (
              <p className="purpose">
                <span className="dim">{t("mission.purpose")}:</span> {mission.purpose}
              </p>
            )}
            {mayBeSeen(mission) && <MissionCoverage mission={mission} onSeen={onSeen} />}
            {mission.plan && (
              <>
                <PlanNumbers plan={mission.plan} />
                <MissionSimulation mission={mission} />
                <MissionVersions mission={mission} />
              </>
            )}
            {mission.history && (
              <>
                <h4>{t("mission.history")}</h4>
                <History events={mission.history} group="mission_event" />
              </>
            )}
          </>
        )}
      </div>
    </li>
  );
}

export function Missions({ open, onOpen, onSeen }: MissionsProps) {
  const { t } = useWords();
  const { missions, loaded } = useLive();
  const { store } = useConsole();
  const { fail } = useNotices();
  const state = open === null ? undefined : missions.get(open)?.state;
  useEffect(() => {
    if (open !== null && state !== undefined) api.mission(open).then((mission) => store.putMission(mission), fail);
  }, [open, state, store, fail]);
  return (
    <>
      <Schedules />
      <Permits />
      {missions.size === 0 && <p className="empty">{loaded ? t("missions.none") : t("status.loading")}</p>}
      <ul className="cards">
        {inOrder(missions.values()).map((mission) => (
          <MissionCard key={mission.id} mission={mission} open={mission.id === open} onOpen={onOpen} onSeen={onSeen} />
        ))}
      </ul>
    </>
  );
}
