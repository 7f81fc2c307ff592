/** Pattern, camera, resolution or height, overlaps, vehicles. */
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Camera, Pattern } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { orderOf } from "../map/overlay";
import { VehicleIcon } from "../parts/icons";
import { useNotices } from "../parts/notices";
import { NumberField, PatternFields } from "./PatternFields";
import { PATTERN_NAMES, PATTERNS } from "./patterns";
import type { PlanDraft } from "./planDraft";

interface PlanFormProps {
  draft: PlanDraft;
  onChange: (change: Partial<PlanDraft>) => void;
}

function useCameras(): Camera[] {
  const { fail } = useNotices();
  const [cameras, setCameras] = useState<Camera[]>([]);
  useEffect(() => {
    api.cameras().then(setCameras, fail);
  }, [fail]);
  return cameras;
}

/** What is flown, and what that means. */
export function PatternChooser({ draft, onChange }: PlanFormProps) {
  const { t } = useWords();
  return (
    <fieldset>
      <legend>{t("plan.pattern")}</legend>
      <select
        aria-label={t("plan.pattern")}
        value={draft.kind}
        onChange={(event) => onChange({ kind: event.target.value as Pattern })}
      >
        {PATTERN_NAMES.map((name) => (
          <option key={name} value={name}>
            {t(`pattern.${name}`)}
          </option>
        ))}
      </select>
      <p className="hint">{t(`pattern.what.${draft.kind}`)}</p>
      {PATTERNS[draft.kind].fields.length > 0 && (
        <div className="grid2">
          <PatternFields fields={PATTERNS[draft.kind].fields} draft={draft} onChange={onChange} />
        </div>
      )}
    </fieldset>
  );
}

export function PlanForm({ draft, onChange }: PlanFormProps) {
  const { t } = useWords();
  const { vehicles, loaded } = useLive();
  const cameras = useCameras();
  const order = orderOf(vehicles);
  const ours = order.filter((sysid) => vehicles.get(sysid)?.properties.registered !== false);
  const pattern = PATTERNS[draft.kind];

  useEffect(() => {
    if (draft.camera !== "" || cameras.length === 0 || !loaded) return;
    const carried = [...vehicles.values()].map((vehicle) => vehicle.properties.camera).find(Boolean);
    const fit = cameras.find((camera) => camera.slug === carried) ?? cameras[0];
    if (fit !== undefined) onChange({ camera: fit.slug });
  }, [cameras, draft.camera, vehicles, loaded, onChange]);

  const toggle = (sysid: number): void => {
    const next = new Set(draft.vehicles);
    if (!next.delete(sysid)) next.add(sysid);
    onChange({ vehicles: next });
  };

  return (
    <>
      <fieldset>
        <legend>{t("plan.picture")}</legend>
        <label>
          {t("plan.camera")}
          <select value={draft.camera} onChange={(event) => onChange({ camera: event.target.value })}>
            {cameras.map((camera) => (
              <option key={camera.slug} value={camera.slug}>
                {camera.name || camera.slug}
              </option>
            ))}
          </select>
        </label>
        <div className="grid2">
          {pattern.gsd && (
            <label className="whole-row">
              {t("plan.by")}
              <select value={draft.by} onChange={(event) => onChange({ by: event.target.value as PlanDraft["by"] })}>
                <option value="height">{t("plan.height")}</option>
                <option value="gsd">{t("plan.gsd")}</option>
              </select>
            </label>
          )}
          {pattern.gsd && draft.by === "gsd" ? (
            <NumberField
              label={t("plan.gsd")}
              unit={t("unit.name.cm_px")}
              step={0.5}
              value={draft.gsd_cm}
              onChange={(gsd_cm) => onChange({ gsd_cm })}
            />
          ) : (
            <NumberField
              label={t("plan.height")}
              unit={t("unit.name.m")}
              step={5}
              value={draft.height_m}
              onChange={(height_m) => onChange({ height_m })}
            />
          )}
          <PatternFields fields={pattern.picture} draft={draft} onChange={onChange} />
        </div>
      </fieldset>
      <fieldset>
        <legend>{t("plan.vehicles")}</legend>
        {ours.length === 0 && <p className="empty">{t("vehicles.none")}</p>}
        <div className="checks">
          {ours.map((sysid) => (
            <label key={sysid} className="check">
              <input type="checkbox" checked={draft.vehicles.has(sysid)} onChange={() => toggle(sysid)} />
              <VehicleIcon order={order.indexOf(sysid)} size={14} />
              {vehicles.get(sysid)?.properties.name}
            </label>
          ))}
        </div>
      </fieldset>
    </>
  );
}
