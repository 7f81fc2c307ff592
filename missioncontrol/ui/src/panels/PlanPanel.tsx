/** Choose a pattern, draw what it is laid over, see what it would take, keep it as a mission. */
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { Mission, Shape } from "../api/types";
import { useWords } from "../i18n";
import { Said } from "../i18n/Said";
import { useConsole, useMay } from "../live/context";
import { Action, useBusy } from "../parts/controls";
import { errorWords, useNotices } from "../parts/notices";
import { requestOf } from "./planDraft";
import { PatternChooser, PlanForm } from "./PlanForm";
import type { Planning } from "./planning";
import { PlanNumbers } from "./PlanNumbers";
import { nextHour, recurrenceOf, type RecurrenceDraft } from "./recurrence";
import { RecurrenceFields } from "./RecurrenceFields";
import { ShapeInput } from "./ShapeInput";

interface PlanPanelProps {
  planning: Planning;
  onImported: (shape: Shape) => void;
  /** A mission that was made; none where it recurs. */
  onSaved: (mission: Mission | null) => void;
}

export function PlanPanel({ planning, onImported, onSaved }: PlanPanelProps) {
  const { t } = useWords();
  const { store } = useConsole();
  const { tell } = useNotices();
  const may = useMay("operator", "administrator");
  const { draft, shape, preview, change } = planning;
  const [name, setName] = useState("");
  const [purpose, setPurpose] = useState("");
  const [times, setTimes] = useState<RecurrenceDraft>(() => ({ recurs: "once", rule: "", starts: nextHour(Date.now()), expires: "" }));
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail === "" ? title : `${title}: ${detail}`);
  });

  const numbers = useRef<HTMLDivElement | null>(null);
  useEffect(() => {
    void numbers.current?.scrollIntoView({ block: "start", behavior: "smooth" });
  }, [preview]);

  const missing = !may
    ? t("why.operator")
    : shape === null
      ? t("why.shape")
      : draft.vehicles.size === 0
        ? t("why.vehicles")
        : draft.camera === ""
          ? t("why.camera")
          : null;
  const unnamed = missing ?? (name.trim() === "" ? t("why.name") : null);

  const showPreview = (): void => {
    if (shape === null) return;
    setProblem(null);
    run(async () => planning.previewed(await api.preview(requestOf(draft, shape))));
  };
  const save = (): void => {
    if (shape === null) return;
    setProblem(null);
    const recurrence = recurrenceOf(times);
    run(async () => {
      if (recurrence !== null) {
        await api.createSchedule({ name: name.trim(), purpose: purpose.trim(), request: requestOf(draft, shape), recurrence });
        tell("good", t("schedule.saved"), name.trim());
        return onSaved(null);
      }
      const mission = await api.createMission(name.trim(), purpose.trim(), requestOf(draft, shape));
      store.putMission(mission);
      onSaved(mission);
      const planned = await api.stepMission(mission.id, "plan");
      if (planned !== undefined) store.putMission(planned);
    });
  };

  return (
    <div className="panel plan">
      <PatternChooser draft={draft} onChange={change} />
      <ShapeInput key={draft.kind} planning={planning} onImported={onImported} />
      <PlanForm draft={draft} onChange={change} />
      <Action look={preview === null ? "primary" : "normal"} blocked={missing} busy={busy} onClick={showPreview}>
        {busy ? t("plan.working") : t("plan.preview")}
      </Action>
      {missing !== null && <p className="hint">{missing}</p>}
      {problem !== null && (
        <p className="problem" role="alert">
          <Said text={problem} />
        </p>
      )}
      {preview !== null && (
        <>
          <div ref={numbers}>
            <PlanNumbers plan={preview} />
          </div>
          <fieldset>
            <legend>{t("plan.keep")}</legend>
            <label>
              {t("mission.name")}
              <input value={name} onChange={(event) => setName(event.target.value)} />
            </label>
            <label>
              {t("mission.purpose")}
              <input value={purpose} onChange={(event) => setPurpose(event.target.value)} />
            </label>
            <RecurrenceFields draft={times} onChange={setTimes} />
            <Action look="primary" blocked={unnamed} busy={busy} onClick={save}>
              {t(times.recurs === "once" ? "plan.save" : "schedule.save")}
            </Action>
          </fieldset>
        </>
      )}
    </div>
  );
}
