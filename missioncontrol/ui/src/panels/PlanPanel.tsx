/** Draw an area, see what it would take to survey it, keep it as a mission. */
import { useCallback, useState } from "react";
import { api } from "../api/client";
import type { Mission, Plan } from "../api/types";
import { useWords } from "../i18n";
import { useConsole, useMay } from "../live/context";
import { Action, useBusy } from "../parts/controls";
import { errorWords } from "../parts/notices";
import { AreaInput, type AreaInputProps } from "./AreaInput";
import { FIRST_DRAFT, requestOf, type PlanDraft } from "./planDraft";
import { PlanForm } from "./PlanForm";
import { PlanNumbers } from "./PlanNumbers";

interface PlanPanelProps extends AreaInputProps {
  preview: Plan | null;
  onPreview: (plan: Plan | null) => void;
  onSaved: (mission: Mission) => void;
}

export function PlanPanel({ area, drawing, onDraw, onArea, preview, onPreview, onSaved }: PlanPanelProps) {
  const { t } = useWords();
  const { store } = useConsole();
  const may = useMay("operator", "administrator");
  const [draft, setDraft] = useState<PlanDraft>(FIRST_DRAFT);
  const [name, setName] = useState("");
  const [purpose, setPurpose] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail === "" ? title : `${title}: ${detail}`);
  });

  const change = useCallback(
    (part: Partial<PlanDraft>) => {
      setDraft((old) => ({ ...old, ...part }));
      onPreview(null);
    },
    [onPreview],
  );
  const missing = !may
    ? t("why.operator")
    : area === null
      ? t("why.area")
      : draft.vehicles.size === 0
        ? t("why.vehicles")
        : draft.camera === ""
          ? t("why.camera")
          : null;
  const unnamed = missing ?? (name.trim() === "" ? t("why.name") : null);

  const showPreview = (): void => {
    if (area === null) return;
    setProblem(null);
    run(async () => onPreview(await api.preview(requestOf(draft, area))));
  };
  const save = (): void => {
    if (area === null) return;
    setProblem(null);
    run(async () => {
      const mission = await api.createMission(name.trim(), purpose.trim(), requestOf(draft, area));
      store.putMission(mission);
      onSaved(mission);
      const planned = await api.stepMission(mission.id, "plan");
      if (planned !== undefined) store.putMission(planned);
    });
  };

  return (
    <div className="panel plan">
      <AreaInput area={area} drawing={drawing} onDraw={onDraw} onArea={onArea} />
      <PlanForm draft={draft} onChange={change} />
      <Action look={preview === null ? "primary" : "normal"} blocked={missing} busy={busy} onClick={showPreview}>
        {busy ? t("plan.working") : t("plan.preview")}
      </Action>
      {missing !== null && <p className="hint">{missing}</p>}
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {preview !== null && (
        <>
          <PlanNumbers plan={preview} />
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
            <Action look="primary" blocked={unnamed} busy={busy} onClick={save}>
              {t("plan.save")}
            </Action>
          </fieldset>
        </>
      )}
    </div>
  );
}
