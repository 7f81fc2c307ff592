/** Camera, resolution or height, overlaps, vehicles. */
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Camera } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { orderOf } from "../map/overlay";
import { VehicleIcon } from "../parts/icons";
import { useNotices } from "../parts/notices";
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

interface NumberFieldProps {
  label: string;
  unit: string;
  value: string;
  step?: number;
  placeholder?: string;
  onChange: (value: string) => void;
}

function NumberField({ label, unit, value, step = 1, placeholder = "", onChange }: NumberFieldProps) {
  return (
    <label className="number">
      <span>{label}</span>
      <span className="with-unit">
        <input
          type="number"
          min={0}
          step={step}
          value={value}
          placeholder={placeholder}
          onChange={(event) => onChange(event.target.value)}
        />
        <i>{unit}</i>
      </span>
    </label>
  );
}

export function PlanForm({ draft, onChange }: PlanFormProps) {
  const { t } = useWords();
  const { vehicles, loaded } = useLive();
  const cameras = useCameras();
  const order = orderOf(vehicles);
  const ours = order.filter((sysid) => vehicles.get(sysid)?.properties.registered !== false);

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
          <label>
            {t("plan.by")}
            <select value={draft.by} onChange={(event) => onChange({ by: event.target.value as PlanDraft["by"] })}>
              <option value="height">{t("plan.height")}</option>
              <option value="gsd">{t("plan.gsd")}</option>
            </select>
          </label>
          {draft.by === "gsd" ? (
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
          <NumberField
            label={t("plan.front_overlap")}
            unit="%"
            value={draft.front_percent}
            onChange={(front_percent) => onChange({ front_percent })}
          />
          <NumberField
            label={t("plan.side_overlap")}
            unit="%"
            value={draft.side_percent}
            onChange={(side_percent) => onChange({ side_percent })}
          />
          <NumberField
            label={t("plan.speed")}
            unit={t("unit.name.m_s")}
            value={draft.speed_m_s}
            placeholder={t("plan.speed_auto")}
            onChange={(speed_m_s) => onChange({ speed_m_s })}
          />
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
