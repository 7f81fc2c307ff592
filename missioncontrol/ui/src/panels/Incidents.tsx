/** The queue of incidents, newest first, with filters. */
import { useEffect, useRef } from "react";
import type { Incident, Mission } from "../api/types";
import { millisecondsOf, useWords } from "../i18n";
import { useLive } from "../live/context";
import { incidentId } from "../live/store";
import { INCIDENT_KINDS } from "../map/palette";
import { IncidentCard } from "./IncidentCard";

export interface IncidentFilter {
  kind: string;
  state: string;
}

export const NO_FILTER: IncidentFilter = { kind: "", state: "" };

interface IncidentsProps {
  shown: readonly Incident[];
  filter: IncidentFilter;
  onFilter: (filter: IncidentFilter) => void;
  selected: string | null;
  onSelect: (id: string | null) => void;
  onMission: (mission: Mission) => void;
}

const receivedOf = (incident: Incident): number =>
  millisecondsOf(incident.properties.received_utc ?? incident.properties.observed_utc) || 0;

/** The incidents a filter lets through, newest first. */
export function filtered(incidents: Iterable<Incident>, filter: IncidentFilter): Incident[] {
  return [...incidents]
    .filter(({ properties }) => filter.kind === "" || properties.kind === filter.kind)
    .filter(({ properties }) => filter.state === "" || properties.state === filter.state)
    .sort((a, b) => receivedOf(b) - receivedOf(a) || incidentId(b).localeCompare(incidentId(a)));
}

export function Incidents({ shown, filter, onFilter, selected, onSelect, onMission }: IncidentsProps) {
  const { t, term } = useWords();
  const { incidents, loaded, fresh } = useLive();
  const list = useRef<HTMLUListElement | null>(null);
  const states = [...new Set([...incidents.values()].map((incident) => incident.properties.state))].sort();
  useEffect(() => {
    list.current?.querySelector(".card.open")?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  return (
    <section className="queue" aria-label={t("incidents.title")}>
      <div className="queue-head">
        <h2>
          {t("incidents.title")} <span className="count">{shown.length}</span>
        </h2>
        <select
          aria-label={t("incidents.kind")}
          value={filter.kind}
          onChange={(event) => onFilter({ ...filter, kind: event.target.value })}
        >
          <option value="">{t("incidents.every_kind")}</option>
          {INCIDENT_KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {term("kind", kind)}
            </option>
          ))}
        </select>
        <select
          aria-label={t("incidents.state")}
          value={filter.state}
          onChange={(event) => onFilter({ ...filter, state: event.target.value })}
        >
          <option value="">{t("incidents.every_state")}</option>
          {states.map((state) => (
            <option key={state} value={state}>
              {term("incident_state", state)}
            </option>
          ))}
        </select>
      </div>
      {shown.length === 0 && (
        <p className="empty">
          {!loaded ? t("status.loading") : incidents.size > 0 ? t("incidents.none_pass") : t("incidents.none")}
        </p>
      )}
      <ul className="cards" ref={list}>
        {shown.map((incident) => (
          <IncidentCard
            key={incidentId(incident)}
            incident={incident}
            open={incidentId(incident) === selected}
            fresh={fresh.has(incidentId(incident))}
            onSelect={onSelect}
            onMission={onMission}
          />
        ))}
      </ul>
    </section>
  );
}
