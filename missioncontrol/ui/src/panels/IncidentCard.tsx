/** One incident: picture, place and how sure it is, what became of it. */
import { useState } from "react";
import type { Incident, Mission } from "../api/types";
import { useWords } from "../i18n";
import { useLive } from "../live/context";
import { incidentId } from "../live/store";
import { placeOf } from "../map/overlay";
import { confidenceScale } from "../map/ellipse";
import { Facts, type Fact } from "../parts/Facts";
import { Dialog } from "../parts/controls";
import { KindIcon } from "../parts/icons";
import { IncidentPlace } from "./IncidentPlace";
import { Receipts } from "./Receipts";
import { Review } from "./Review";

interface IncidentCardProps {
  incident: Incident;
  open: boolean;
  fresh: boolean;
  onSelect: (id: string | null) => void;
  /** A mission was planned to look again. */
  onMission: (mission: Mission) => void;
}

/** A parcel or permit as the service names it: a text, or a record with an identifier among its fields. */
function nameOf(value: string | Record<string, unknown> | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  const known = value["number"] ?? value["cadastral_number"] ?? value["id"] ?? value["name"];
  return known === undefined ? JSON.stringify(value) : String(known);
}

function IncidentFacts({ incident }: { incident: Incident }) {
  const { t, number, dateTime } = useWords();
  const { vehicles } = useLive();
  const { properties: p } = incident;
  const [lon, lat] = placeOf(incident);
  const facts: Fact[] = [[t("incident.place"), `${number(lon, 6)}, ${number(lat, 6)}`]];
  if (p.ellipse) {
    const scale = confidenceScale(p.ellipse.confidence, 0.9);
    const [major, minor] = [p.ellipse.semi_major_m * scale, p.ellipse.semi_minor_m * scale];
    facts.push([
      t("incident.ellipse"),
      t("incident.ellipse_size", {
        major: number(major, 1),
        minor: number(minor, 1),
        bearing: number(p.ellipse.orientation_deg),
      }),
    ]);
  }
  if (p.area_m2) facts.push([t("incident.area"), t("unit.m2", { n: number(p.area_m2) })]);
  facts.push([t("incident.observed"), dateTime(p.observed_utc)]);
  facts.push([t("incident.received"), dateTime(p.received_utc)]);
  if (p.vehicle !== null && p.vehicle !== undefined) {
    facts.push([t("incident.vehicle"), vehicles.get(Number(p.vehicle))?.properties.name ?? String(p.vehicle)]);
  }
  facts.push([t("incident.parcel"), nameOf(p.parcel) ?? t("incident.no_parcel")]);
  facts.push([t("incident.permit"), nameOf(p.permit) ?? t("incident.no_permit")]);
  if (p.reason) facts.push([t("incident.reason"), p.reason]);
  return (
    <Facts facts={facts} />
  );
}

export function IncidentCard({ incident, open, fresh, onSelect, onMission }: IncidentCardProps) {
  const { t, term, number, time } = useWords();
  const [large, setLarge] = useState(false);
  const { properties: p } = incident;
  const id = incidentId(incident);
  const kind = term("kind", p.kind);
  return (
    <li className={`card incident ${open ? "open" : ""} ${fresh ? "fresh" : ""}`} data-incident={id} data-state={p.state}>
      <button type="button" className="card-head" aria-expanded={open} onClick={() => onSelect(open ? null : id)}>
        {p.picture && !open && <img className="thumb" src={p.picture} alt="" loading="lazy" />}
        <span className="incident-lines">
          <span className="vehicle-name">
            <KindIcon kind={p.kind} />
            <b>{kind}</b>
            <span className={`state incident-${p.state}`}>{term("incident_state", p.state)}</span>
          </span>
          <span className="vehicle-numbers">
            <span title={t("incident.observed")}>{time(p.observed_utc)}</span>
            <span title={t("incident.score")}>
              {t("unit.percent", { n: number(p.score === null || p.score === undefined ? null : p.score * 100) })}
            </span>
            <span>{t("incident.looks", { n: number(p.looks) })}</span>
            {p.ellipse && (
              <span title={t("incident.ellipse")}>
                ±{t("unit.m", { n: number(p.ellipse.semi_major_m * confidenceScale(p.ellipse.confidence, 0.9), 1) })}
              </span>
            )}
          </span>
        </span>
      </button>
      {open && (
        <div className="card-body">
          {p.picture ? (
            <button type="button" className="picture" onClick={() => setLarge(true)} title={t("incident.enlarge")}>
              <img src={p.picture} alt={t("incident.picture_of", { kind })} />
            </button>
          ) : (
            <p className="empty">{t("incident.no_picture")}</p>
          )}
          <Review incident={incident} />
          {p.ellipse && <IncidentPlace incident={incident} ellipse={p.ellipse} onMission={onMission} />}
          <IncidentFacts incident={incident} />
          <Receipts incident={incident} />
        </div>
      )}
      {large && p.picture && (
        <Dialog title={kind} wide onClose={() => setLarge(false)}>
          <img src={p.picture} alt={t("incident.picture_of", { kind })} />
          <div className="row end">
            <button type="button" autoFocus onClick={() => setLarge(false)}>
              {t("action.close")}
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}
