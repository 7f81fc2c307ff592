/** The console after log-in: vehicles, plans and missions at the left, the map in the middle, incidents at the right. */
import type { Position } from "geojson";
import { useCallback, useEffect, useMemo, useState } from "react";
import { api } from "./api/client";
import type { Incident, Mission, Shape, Vehicle } from "./api/types";
import { useWords } from "./i18n";
import { useConsole, useLive } from "./live/context";
import { incidentId } from "./live/store";
import { placesOf } from "./map/geojson";
import { closenessOf } from "./map/ellipse";
import { lineOf, placeOf } from "./map/overlay";
import { MapView, type Editing, type Focus, type Seen } from "./map/MapView";
import { Archive } from "./panels/Archive";
import { Dispatch, type Call } from "./panels/Dispatch";
import { Header } from "./panels/Header";
import { Flights } from "./panels/Flights";
import { filtered, Incidents, NO_FILTER, type IncidentFilter } from "./panels/Incidents";
import { isUnderWay } from "./panels/missionSteps";
import { Missions } from "./panels/Missions";
import { PATTERNS, shapeOf } from "./panels/patterns";
import { usePlanning } from "./panels/planning";
import { PlanPanel } from "./panels/PlanPanel";
import { Vehicles } from "./panels/Vehicles";
import { VideoDock } from "./panels/VideoDock";
import { WholeIcon } from "./parts/icons";
import { useNotices } from "./parts/notices";

type Tab = "vehicles" | "plan" | "missions" | "flights";
const TABS: readonly Tab[] = ["vehicles", "plan", "missions", "flights"];
const TRACK_S = 900;
const LOST_AFTER_MS = 1500;

/** Full records (with plans) of the missions whose paths are drawn, and the recorded tracks of the vehicles. */
function useBackground(open: string | null): void {
  const { store } = useConsole();
  const { missions, vehicles } = useLive();
  const { fail } = useNotices();
  const wanted = [...missions.values()]
    .filter((mission) => (isUnderWay(mission) || mission.id === open) && !mission.plan && mission.state !== "draft")
    .map((mission) => mission.id)
    .join(" ");
  useEffect(() => {
    for (const id of wanted.split(" ").filter(Boolean)) {
      api.mission(id).then((mission) => store.putMission(mission), fail);
    }
  }, [wanted, store, fail]);
  const known = [...vehicles.keys()].sort((a, b) => a - b).join(" ");
  useEffect(() => {
    for (const sysid of known.split(" ").filter(Boolean).map(Number)) {
      if (store.read().tracks.has(sysid) && store.read().tracks.get(sysid)!.length > 20) continue;
      api.track(sysid, TRACK_S).then((track) => store.putTrack(sysid, track.geometry?.coordinates ?? []), fail);
    }
  }, [known, store, fail]);
}

function ConnectionBanner() {
  const { t, time } = useWords();
  const { connection, since_ms } = useLive();
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = window.setTimeout(() => tick((n) => n + 1), LOST_AFTER_MS + 50);
    return () => window.clearTimeout(timer);
  }, [connection, since_ms]);
  if (connection === "open" || Date.now() - since_ms < LOST_AFTER_MS) return null;
  return (
    <div className="banner" role="alert">
      {t("status.connection_lost", { time: time(since_ms / 1000) })}
    </div>
  );
}

export function Console({ onLogOut }: { onLogOut: () => void }) {
  const { t, term } = useWords();
  const { store } = useConsole();
  const { tell, settle } = useNotices();
  const live = useLive();
  const [tab, setTab] = useState<Tab>("vehicles");
  const [vehicle, setVehicle] = useState<number | null>(null);
  const [incident, setIncident] = useState<string | null>(null);
  const [mission, setMission] = useState<string | null>(null);
  const [filter, setFilter] = useState<IncidentFilter>(NO_FILTER);
  const planning = usePlanning();
  const { preview } = planning;
  const [focus, setFocus] = useState<Focus | null>(null);
  const [seen, setSeen] = useState<Seen | null>(null);
  const [call, setCall] = useState<Call | null>(null);
  const [looked, setLooked] = useState<Position | null>(null);
  useBackground(mission);

  const shown = useMemo(() => filtered(live.incidents.values(), filter), [live.incidents, filter]);
  const atPlan = tab === "plan";
  const drawn = useMemo(
    () => [...live.missions.values()].filter((each) => each.plan && (isUnderWay(each) || each.id === mission)),
    [live.missions, mission],
  );
  const plans = useMemo(
    () => (atPlan ? (preview === null ? [] : [preview]) : drawn.flatMap((each) => each.plan ?? [])),
    [atPlan, preview, drawn],
  );
  const shapes = useMemo(() => (atPlan ? [] : drawn.flatMap((each) => shapeOf(each.request) ?? [])), [atPlan, drawn]);

  const selectIncident = useCallback(
    (id: string | null) => {
      setIncident(id);
      const chosen = id === null ? undefined : store.read().incidents.get(id);
      if (id === null || chosen === undefined) return;
      store.looked(id);
      settle(id);
      setFocus({ places: [placeOf(chosen)], closeness: closenessOf(chosen.properties.ellipse) });
    },
    [store, settle],
  );
  useEffect(
    () =>
      store.onArrival((arrived: Incident) =>
        tell(
          "incident",
          t("incidents.new"),
          term("kind", arrived.properties.kind),
          () => {
            setFilter(NO_FILTER);
            selectIncident(incidentId(arrived));
          },
          incidentId(arrived),
        ),
      ),
    [store, tell, t, term, selectIncident],
  );

  const editing = useMemo<Editing | null>(() => {
    const { shape, drawing, put, draft } = planning;
    return atPlan ? { type: PATTERNS[draft.kind].shape, shape, drawing, changed: put } : null;
  }, [atPlan, planning]);
  const imported = (shape: Shape): void => setFocus({ places: placesOf(shape), closeness: 16 });
  const saved = (kept: Mission | null): void => {
    if (kept !== null) setMission(kept.id);
    planning.put(null, true);
    setTab("missions");
  };
  const openMission = (id: string | null, plan = id === null ? null : live.missions.get(id)?.plan): void => {
    setMission(id);
    if (plan) setFocus({ places: plan.vehicles.flatMap((part) => lineOf(part.path).coordinates) });
  };
  const showMission = (made: Mission): void => {
    openMission(made.id, made.plan);
    setTab("missions");
  };
  const showAll = (): void => {
    const vehicles = [...live.vehicles.values()].flatMap((each) => (each.geometry === null ? [] : [each.geometry.coordinates]));
    const paths = plans.flatMap((plan) => plan.vehicles.flatMap((part) => lineOf(part.path).coordinates));
    const places = [...vehicles, ...shown.map(placeOf), ...paths];
    if (places.length > 0) setFocus({ places });
  };
  const centre = (each: Vehicle): void => {
    if (each.geometry !== null) setFocus({ places: [each.geometry.coordinates], closeness: 15 });
  };

  return (
    <div className="console">
      <Header onLogOut={onLogOut} />
      <ConnectionBanner />
      <aside className="left">
        <div className="tabs" role="tablist">
          {TABS.map((each) => (
            <button key={each} type="button" role="tab" aria-selected={tab === each} onClick={() => setTab(each)}>
              {term("tab", each)}
            </button>
          ))}
        </div>
        <div className="tab" role="tabpanel" aria-label={term("tab", tab)}>
          {tab === "vehicles" && <Vehicles selected={vehicle} onSelect={setVehicle} onCentre={centre} />}
          <div hidden={!atPlan}>
            <PlanPanel planning={planning} onImported={imported} onSaved={saved} />
          </div>
          {tab === "missions" && <Missions open={mission} onOpen={openMission} onSeen={setSeen} />}
          {tab === "flights" && <Flights />}
        </div>
      </aside>
      <main>
        <button type="button" className="map-all" title={t("map.show_all")} aria-label={t("map.show_all")} onClick={showAll}>
          <WholeIcon />
        </button>
        <MapView
          incidents={shown}
          plans={plans}
          shapes={shapes}
          editing={editing}
          seen={seen}
          focus={focus}
          selectedVehicle={vehicle}
          selectedIncident={incident}
          onVehicle={(sysid) => {
            setVehicle(sysid);
            if (!atPlan) setTab("vehicles");
          }}
          onIncident={selectIncident}
          onCall={(place) => setCall({ place, kind: "dump" })}
        />
        <VideoDock selected={vehicle} />
      </main>
      {call !== null && (
        <Dispatch
          call={call}
          onMission={(made) => {
            setCall(null);
            showMission(made);
          }}
          onArchive={() => {
            setLooked(call.place);
            setCall(null);
          }}
          onClose={() => setCall(null)}
        />
      )}
      {looked !== null && <Archive place={looked} onClose={() => setLooked(null)} />}
      <aside className="right">
        <Incidents
          shown={shown}
          filter={filter}
          onFilter={setFilter}
          selected={incident}
          onSelect={selectIncident}
          onMission={showMission}
        />
      </aside>
    </div>
  );
}
