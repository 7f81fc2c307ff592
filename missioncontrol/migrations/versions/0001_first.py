"""The first schema: people, missions, flights, incidents, hand-offs, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from missioncontrol.geometry import Geom, index_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the spatial index."""
    dialect_name = op.get_bind().dialect.name
    if dialect_name == "postgresql":
        op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("subject_kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.String(length=80), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("audit_pkey")),
    )
    op.create_index(
        op.f("audit_subject_kind_subject_id_number_ix"), "audit", ["subject_kind", "subject_id", "number"], unique=False
    )
    op.create_table(
        "incidents",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("place", Geom(), nullable=False),
        sa.Column("observed_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("received_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("incident", sa.JSON(), nullable=False),
        sa.Column("fusion", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("incidents_pkey")),
        sa.UniqueConstraint("id", name=op.f("incidents_id_key")),
    )
    op.create_index(op.f("incidents_kind_observed_utc_s_ix"), "incidents", ["kind", "observed_utc_s"], unique=False)
    op.create_index(op.f("incidents_state_ix"), "incidents", ["state"], unique=False)
    op.create_table(
        "missions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan_version", sa.Integer(), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=True),
        sa.Column("approved_hash", sa.String(length=64), nullable=True),
        sa.Column("approved_by", sa.String(length=100), nullable=True),
        sa.Column("approved_utc_s", sa.Float(precision=53), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("updated_utc_s", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("missions_pkey")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("people_pkey")),
        sa.UniqueConstraint("name", name=op.f("people_name_key")),
    )
    op.create_table(
        "flights",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("mission_id", sa.String(length=36), nullable=False),
        sa.Column("sysid", sa.Integer(), nullable=False),
        sa.Column("registration", sa.String(length=100), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("started_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("airborne_utc_s", sa.Float(precision=53), nullable=True),
        sa.Column("ended_utc_s", sa.Float(precision=53), nullable=True),
        sa.Column("path_m", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["mission_id"], ["missions.id"], name=op.f("flights_mission_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("flights_pkey")),
    )
    op.create_index(op.f("flights_mission_id_ix"), "flights", ["mission_id"], unique=False)
    op.create_table(
        "observations",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("observation", sa.JSON(), nullable=False),
        sa.Column("picture_sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("observations_incident_id_fkey")),
        sa.PrimaryKeyConstraint("number", name=op.f("observations_pkey")),
    )
    op.create_index(op.f("observations_incident_id_ix"), "observations", ["incident_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("sink", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("is_update", sa.Boolean(), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("due_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("receipt", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("closed_utc_s", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("outbox_incident_id_fkey")),
        sa.PrimaryKeyConstraint("number", name=op.f("outbox_pkey")),
        sa.UniqueConstraint("id", name=op.f("outbox_id_key")),
    )
    op.create_index(op.f("outbox_incident_id_ix"), "outbox", ["incident_id"], unique=False)
    op.create_index(op.f("outbox_sink_state_number_ix"), "outbox", ["sink", "state", "number"], unique=False)
    op.create_table(
        "plans",
        sa.Column("mission_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["mission_id"], ["missions.id"], name=op.f("plans_mission_id_fkey")),
        sa.PrimaryKeyConstraint("mission_id", "version", name=op.f("plans_pkey")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("expires_utc_s", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("sessions_person_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("sessions_pkey")),
    )
    op.create_table(
        "track_points",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("flight_id", sa.String(length=36), nullable=False),
        sa.Column("utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("lon", sa.Float(precision=53), nullable=False),
        sa.Column("lat", sa.Float(precision=53), nullable=False),
        sa.Column("altitude_amsl_m", sa.Float(precision=53), nullable=False),
        sa.Column("ground_speed_m_s", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("track_points_flight_id_fkey")),
        sa.PrimaryKeyConstraint("number", name=op.f("track_points_pkey")),
    )
    op.create_index(op.f("track_points_flight_id_number_ix"), "track_points", ["flight_id", "number"], unique=False)
    for statement in index_statements(dialect_name, "incidents", "place"):
        op.execute(statement)
