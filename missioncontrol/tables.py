"""The tables of the store. The migrations make them; a test holds both to be the same."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from missioncontrol.geometry import Geom

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)


def _number() -> Column[Any]:
    return Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _utc(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Float(53), nullable=nullable)


people = Table(
    "people",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("language", String(5), nullable=False),
    _utc("created_utc_s"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("person_id", String(36), ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    _utc("created_utc_s"),
    _utc("expires_utc_s"),
)

missions = Table(
    "missions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("request", JSON, nullable=False),
    Column("plan_version", Integer, nullable=False),
    Column("plan_hash", String(64)),
    Column("approved_hash", String(64)),
    Column("approved_by", String(100)),
    _utc("approved_utc_s", nullable=True),
    Column("reason", Text),
    Column("created_by", String(100), nullable=False),
    _utc("created_utc_s"),
    _utc("updated_utc_s"),
)

plans = Table(
    "plans",
    metadata,
    Column("mission_id", String(36), ForeignKey("missions.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("plan", JSON, nullable=False),
    _utc("created_utc_s"),
)

previews = Table(
    "previews",
    metadata,
    Column("mission_id", String(36), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("preview", JSON, nullable=False),
    Column("created_by", String(100), nullable=False),
    _utc("created_utc_s"),
    ForeignKeyConstraint(["mission_id", "version"], ["plans.mission_id", "plans.version"]),
)

audit = Table(
    "audit",
    metadata,
    _number(),
    _utc("utc_s"),
    Column("person", String(100), nullable=False),
    Column("subject_kind", String(20), nullable=False),
    Column("subject_id", String(80), nullable=False),
    Column("event", String(40), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("previous_sha256", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Index(None, "subject_kind", "subject_id", "number"),
)

flights = Table(
    "flights",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("mission_id", String(36), ForeignKey("missions.id"), nullable=False, index=True),
    Column("sysid", Integer, nullable=False),
    Column("registration", String(100), nullable=False),
    Column("stage", String(20), nullable=False),
    Column("item", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("sortie", Integer, nullable=False, server_default="1"),
    Column("hash", String(64), nullable=False, server_default=""),
    Column("text", Text, nullable=False),
    _utc("started_utc_s"),
    _utc("airborne_utc_s", nullable=True),
    _utc("ended_utc_s", nullable=True),
    Column("path_m", Float(53), nullable=False),
    Column("summary", JSON(none_as_null=True)),
)

maintenance = Table(
    "maintenance",
    metadata,
    _number(),
    Column("sysid", Integer, nullable=False),
    Column("registration", String(100), nullable=False),
    _utc("utc_s"),
    Column("person", String(100), nullable=False),
    Column("work", String(20), nullable=False),
    Column("note", Text, nullable=False),
    Index(None, "registration", "number"),
)

track_points = Table(
    "track_points",
    metadata,
    _number(),
    Column("flight_id", String(36), ForeignKey("flights.id"), nullable=False),
    _utc("utc_s"),
    Column("lon", Float(53), nullable=False),
    Column("lat", Float(53), nullable=False),
    Column("altitude_amsl_m", Float(53), nullable=False),
    Column("ground_speed_m_s", Float(53)),
    Index(None, "flight_id", "number"),
)

exposures = Table(
    "exposures",
    metadata,
    _number(),
    Column("flight_id", String(36), ForeignKey("flights.id"), nullable=False),
    _utc("from_utc_s"),
    _utc("until_utc_s"),
    Column("watching", JSON, nullable=False),
    Column("frames", JSON, nullable=False),
    Index(None, "flight_id", "number"),
)

incidents = Table(
    "incidents",
    metadata,
    _number(),
    Column("id", String(36), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("kind", String(60), nullable=False),
    Column("state", String(20), nullable=False),
    Column("place", Geom(), nullable=False),
    _utc("observed_utc_s"),
    _utc("received_utc_s"),
    Column("incident", JSON, nullable=False),
    Column("fusion", JSON, nullable=False),
    Index(None, "kind", "observed_utc_s"),
    Index(None, "state"),
)

observations = Table(
    "observations",
    metadata,
    _number(),
    Column("incident_id", String(36), ForeignKey("incidents.id"), nullable=False, index=True),
    _utc("utc_s"),
    Column("observation", JSON, nullable=False),
    Column("picture_sha256", String(64)),
    Index(None, "utc_s"),
)

outbox = Table(
    "outbox",
    metadata,
    _number(),
    Column("id", String(160), nullable=False, unique=True),
    Column("incident_id", String(36), ForeignKey("incidents.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("kind", String(60), nullable=False),
    Column("sink", String(64), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("is_update", Boolean, nullable=False),
    _utc("created_utc_s"),
    _utc("due_utc_s"),
    Column("error", Text),
    Column("receipt", JSON(none_as_null=True)),
    _utc("closed_utc_s", nullable=True),
    _utc("retried_utc_s", nullable=True),
    Index(None, "sink", "state", "number"),
)

controls = Table(
    "controls",
    metadata,
    Column("sysid", Integer, primary_key=True, autoincrement=False),
    Column("person", String(100)),
    Column("token", Integer, nullable=False),
    _utc("since_utc_s", nullable=True),
)

zone_sources = Table(
    "zone_sources",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("format", String(10), nullable=False),
    Column("header", JSON, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("noted", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("imported_by", String(100), nullable=False),
    _utc("imported_utc_s"),
)

zones = Table(
    "zones",
    metadata,
    _number(),
    Column("id", String(36), nullable=False, unique=True),
    Column("source", String(80), nullable=False),
    Column("zone", JSON, nullable=False),
    Index(None, "source", "number"),
)

permits = Table(
    "permits",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("permit", JSON, nullable=False),
    Column("created_by", String(100), nullable=False),
    _utc("created_utc_s"),
    _utc("revoked_utc_s", nullable=True),
)

permit_documents = Table(
    "permit_documents",
    metadata,
    _number(),
    Column("permit_id", String(36), ForeignKey("permits.id"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("media_type", String(40), nullable=False),
    Column("size", Integer, nullable=False),
    Column("added_by", String(100), nullable=False),
    _utc("added_utc_s"),
    Index(None, "permit_id", "number"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(150), nullable=False),
    Column("version", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("schedule", JSON, nullable=False),
    Column("approved_hash", String(64)),
    Column("approved_by", String(100)),
    _utc("approved_utc_s", nullable=True),
    _utc("handled_utc_s"),
    Column("created_by", String(100), nullable=False),
    _utc("created_utc_s"),
    _utc("updated_utc_s"),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule_id", String(36), ForeignKey("schedules.id"), primary_key=True),
    Column("due_utc_s", Float(53), primary_key=True),
    Column("mission_id", String(36), ForeignKey("missions.id"), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("text", Text, nullable=False),
)

clips = Table(
    "clips",
    metadata,
    _number(),
    Column("id", String(36), nullable=False, unique=True),
    Column("flight_id", String(36), ForeignKey("flights.id"), nullable=False),
    Column("sysid", Integer, nullable=False),
    Column("registration", String(100), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("state", String(20), nullable=False),
    _utc("from_utc_s"),
    _utc("until_utc_s"),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("codec", String(20), nullable=False),
    Column("camera", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("gsd_m", Float(53)),
    Column("off_nadir_deg", Float(53)),
    Column("hold", JSON(none_as_null=True)),
    Column("place", Geom()),
    Column("sights", LargeBinary),
    Index(None, "flight_id", "number"),
    Index(None, "state"),
    Index(None, "purpose", "until_utc_s"),
)
