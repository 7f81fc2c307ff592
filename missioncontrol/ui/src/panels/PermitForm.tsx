/** A permit that was given, as its document says. */
import { useEffect, useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { NewPermit, ZoneProperties } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { Action, Dialog, useBusy } from "../parts/controls";
import { errorWords } from "../parts/notices";

/** Of the times on the wall that are typed. */
const OFFSET = "+05:00";
/** Kinds of zone that a permit can open. */
const CLEARABLE = ["REQ_AUTHORIZATION", "CONDITIONAL", "USPACE"];

interface Draft {
  number: string;
  authority: string;
  from: string;
  until: string;
  height: string;
  note: string;
  bvlos: boolean;
  night: boolean;
}

const EMPTY: Draft = { number: "", authority: "", from: "", until: "", height: "", note: "", bvlos: false, night: false };

function toggled<T>(chosen: readonly T[], one: T): T[] {
  return chosen.includes(one) ? chosen.filter((each) => each !== one) : [...chosen, one];
}

/** The zones that can be opened, each by its identifier. */
function useClearable(): readonly ZoneProperties[] {
  const [zones, setZones] = useState<readonly ZoneProperties[]>([]);
  useEffect(() => {
    let current = true;
    api.zones().then(
      (found) => {
        const all = found.features.map((zone) => zone.properties as ZoneProperties);
        const open = all.filter((zone, index) => CLEARABLE.includes(zone.kind) && all.findIndex((one) => one.zone === zone.zone) === index);
        if (current) setZones(open);
      },
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, []);
  return zones;
}

export function PermitForm({ onAdded, onClose }: { onAdded: () => void; onClose: () => void }) {
  const { t } = useWords();
  const { vehicles } = useLive();
  const zones = useClearable();
  const [draft, setDraft] = useState(EMPTY);
  const [clears, setClears] = useState<readonly string[]>([]);
  const [sysids, setSysids] = useState<readonly number[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, run] = useBusy((error) => {
    const { title, detail } = errorWords(error, t);
    setProblem(detail || title);
  });
  const text = (name: "number" | "authority" | "from" | "until" | "height" | "note", type: string) => (
    <label>
      {t(`permit.${name}`)}
      <input type={type} min={type === "number" ? 1 : undefined} value={draft[name]} onChange={(event) => setDraft({ ...draft, [name]: event.target.value })} />
    </label>
  );
  const flag = (name: "bvlos" | "night") => (
    <label className="check">
      <input type="checkbox" checked={draft[name]} onChange={() => setDraft({ ...draft, [name]: !draft[name] })} />
      {t(`permit.${name}`)}
    </label>
  );
  const missing = [draft.number, draft.authority, draft.from, draft.until].some((each) => each.trim() === "");
  const add = (event: FormEvent): void => {
    event.preventDefault();
    if (missing || busy) return;
    setProblem(null);
    const permit: NewPermit = {
      number: draft.number.trim(),
      authority: draft.authority.trim(),
      valid_from: `${draft.from}:00${OFFSET}`,
      valid_until: `${draft.until}:00${OFFSET}`,
      clears: [...clears],
      vehicles: [...sysids],
      bvlos: draft.bvlos,
      night: draft.night,
      note: draft.note.trim(),
    };
    if (draft.height !== "") permit.highest_agl_m = Number(draft.height);
    run(async () => {
      await api.addPermit(permit);
      onAdded();
      onClose();
    });
  };
  return (
    <Dialog title={t("permit.add")} onClose={onClose}>
      <form className="permit-form" onSubmit={add}>
        {text("number", "text")}
        {text("authority", "text")}
        {text("from", "datetime-local")}
        {text("until", "datetime-local")}
        {text("height", "number")}
        <div className="checks">
          {flag("bvlos")}
          {flag("night")}
        </div>
        {zones.length > 0 && (
          <fieldset>
            <legend>{t("permit.clears")}</legend>
            {zones.map((zone) => (
              <label key={zone.zone} className="check">
                <input type="checkbox" checked={clears.includes(zone.zone)} onChange={() => setClears(toggled(clears, zone.zone))} />
                {zone.name || zone.title || zone.zone}
              </label>
            ))}
          </fieldset>
        )}
        <fieldset>
          <legend>{t("permit.for_vehicles")}</legend>
          <div className="checks">
            {[...vehicles].map(([sysid, vehicle]) => (
              <label key={sysid} className="check">
                <input type="checkbox" checked={sysids.includes(sysid)} onChange={() => setSysids(toggled(sysids, sysid))} />
                {vehicle.properties.name}
              </label>
            ))}
          </div>
        </fieldset>
        {text("note", "text")}
        {problem !== null && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <div className="row end">
          <Action onClick={onClose}>{t("action.cancel")}</Action>
          <Action type="submit" look="primary" busy={busy} blocked={missing ? t("permit.missing") : null}>
            {t("permit.add")}
          </Action>
        </div>
      </form>
    </Dialog>
  );
}
