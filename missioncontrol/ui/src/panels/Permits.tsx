/** Permits of authorities: which count now, what each allows, its documents; added and revoked by administrators. */
import { useCallback, useEffect, useState } from "react";
import { api, permitDocument } from "../api/client";
import type { Permit } from "../api/types";
import { millisecondsOf, useWords } from "../i18n";
import { useLive, useMay } from "../live/context";
import { Action, Confirm, useBusy } from "../parts/controls";
import { Facts, type Fact } from "../parts/Facts";
import { useNotices } from "../parts/notices";
import { PermitForm } from "./PermitForm";

const LOOK_AGAIN_MS = 60_000;
const SOON_MS = 14 * 86_400_000;
const DOCUMENTS = "application/pdf,image/jpeg,image/png,image/tiff";

type Standing = "valid" | "ends_soon" | "later" | "expired" | "revoked";

/** Whether a permit counts at a moment, ms since 1970. */
function standingOf(permit: Permit, now_ms: number): Standing {
  if (permit.revoked_utc !== null) return "revoked";
  if (millisecondsOf(permit.valid_until) <= now_ms) return "expired";
  if (millisecondsOf(permit.valid_from) > now_ms) return "later";
  return millisecondsOf(permit.valid_until) - now_ms < SOON_MS ? "ends_soon" : "valid";
}

const ORDER: readonly Standing[] = ["ends_soon", "valid", "later", "expired", "revoked"];

function PermitFacts({ permit }: { permit: Permit }) {
  const { t, number, dateTime } = useWords();
  const { vehicles } = useLive();
  const names = [...permit.vehicles.map((sysid) => vehicles.get(sysid)?.properties.name ?? `sysid ${sysid}`), ...permit.registrations];
  const facts: Fact[] = [
    [t("permit.authority"), permit.authority],
    [t("permit.from"), dateTime(permit.valid_from)],
    [t("permit.until"), dateTime(permit.valid_until)],
    [t("permit.clears"), permit.clears.join(", ") || t("permit.no_zones")],
    [t("permit.height"), permit.highest_agl_m === null ? t("permit.no_height") : t("unit.m", { n: number(permit.highest_agl_m) })],
    [t("permit.bvlos"), t(permit.bvlos ? "answer.yes" : "answer.no")],
    [t("permit.night"), t(permit.night ? "answer.yes" : "answer.no")],
    [t("plan.vehicles"), names.join(", ") || t("permit.every_vehicle")],
    [t("permit.where"), t(permit.area === null ? "permit.everywhere" : "permit.in_its_area")],
  ];
  if (permit.note !== "") facts.push([t("permit.note"), permit.note]);
  return <Facts facts={facts} />;
}

function PermitRow({ permit, changed }: { permit: Permit; changed: () => void }) {
  const { t, term } = useWords();
  const { fail } = useNotices();
  const [busy, run] = useBusy(fail);
  const [revoking, setRevoking] = useState(false);
  const blocked = useMay("administrator") ? null : t("why.administrator");
  const standing = standingOf(permit, Date.now());
  const revoke = (): void =>
    run(async () => {
      await api.revokePermit(permit.id);
      changed();
    });
  const attach = (file: File | undefined): void => {
    if (file === undefined) return;
    run(async () => {
      await api.attachToPermit(permit.id, file);
      changed();
    });
  };
  return (
    <li data-permit={permit.number} data-standing={standing}>
      <details>
        <summary>
          <b>{permit.number}</b> <span className={`state permit-${standing}`}>{term("permit_standing", standing)}</span>
        </summary>
        <PermitFacts permit={permit} />
        {permit.documents.length > 0 && (
          <ul className="texts">
            {permit.documents.map((document) => (
              <li key={document.sha256}>
                <a href={permitDocument(permit.id, document.sha256)} download={document.name}>
                  {document.name}
                </a>
              </li>
            ))}
          </ul>
        )}
        {standing !== "revoked" && (
          <div className="row">
            <label className={`button ${blocked === null ? "" : "off"}`} title={blocked ?? undefined}>
              {t("permit.attach")}
              <input
                type="file"
                hidden
                accept={DOCUMENTS}
                disabled={blocked !== null || busy}
                onChange={(event) => attach(event.target.files?.[0])}
              />
            </label>
            <Action look="danger" blocked={blocked} busy={busy} onClick={() => setRevoking(true)}>
              {t("permit.revoke")}
            </Action>
          </div>
        )}
      </details>
      {revoking && (
        <Confirm
          title={t("permit.revoke_ask", { number: permit.number })}
          text={t("permit.revoke_warning")}
          action={t("permit.revoke")}
          danger
          onConfirm={revoke}
          onClose={() => setRevoking(false)}
        />
      )}
    </li>
  );
}

export function Permits() {
  const { t } = useWords();
  const { fail } = useNotices();
  const blocked = useMay("administrator") ? null : t("why.administrator");
  const [permits, setPermits] = useState<Permit[]>([]);
  const [adding, setAdding] = useState(false);
  const load = useCallback(() => {
    api.permits().then(setPermits, fail);
  }, [fail]);
  useEffect(() => {
    load();
    const timer = window.setInterval(load, LOOK_AGAIN_MS);
    return () => window.clearInterval(timer);
  }, [load]);
  const now_ms = Date.now();
  const sorted = [...permits].sort((a, b) => ORDER.indexOf(standingOf(a, now_ms)) - ORDER.indexOf(standingOf(b, now_ms)));
  const counting = permits.filter((permit) => ["valid", "ends_soon"].includes(standingOf(permit, now_ms))).length;
  return (
    <details className="schedules permits">
      <summary>{t("permit.title", { n: counting })}</summary>
      {permits.length === 0 && <p className="hint">{t("permit.none")}</p>}
      <ul>
        {sorted.map((permit) => (
          <PermitRow key={permit.id} permit={permit} changed={load} />
        ))}
      </ul>
      <Action blocked={blocked} onClick={() => setAdding(true)}>
        {t("permit.add")} …
      </Action>
      {adding && <PermitForm onAdded={load} onClose={() => setAdding(false)} />}
    </details>
  );
}
