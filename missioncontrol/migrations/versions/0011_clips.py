"""Recorded video, and an index of what it shows of the ground."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from missioncontrol.geometry import Geom, index_statements

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table with its spatial index, and find observations by time."""
    op.create_table(
        "clips",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("flight_id", sa.String(length=36), nullable=False),
        sa.Column("sysid", sa.Integer(), nullable=False),
        sa.Column("registration", sa.String(length=100), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("from_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("until_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("codec", sa.String(length=20), nullable=False),
        sa.Column("camera", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("gsd_m", sa.Float(precision=53), nullable=True),
        sa.Column("off_nadir_deg", sa.Float(precision=53), nullable=True),
        sa.Column("hold", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("place", Geom(), nullable=True),
        sa.Column("sights", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("clips_flight_id_fkey")),
        sa.PrimaryKeyConstraint("number", name=op.f("clips_pkey")),
        sa.UniqueConstraint("id", name=op.f("clips_id_key")),
    )
    op.create_index(op.f("clips_flight_id_number_ix"), "clips", ["flight_id", "number"])
    op.create_index(op.f("clips_state_ix"), "clips", ["state"])
    op.create_index(op.f("clips_purpose_until_utc_s_ix"), "clips", ["purpose", "until_utc_s"])
    for statement in index_statements(op.get_bind().dialect.name, "clips", "place"):
        op.execute(statement)
    op.create_index(op.f("observations_utc_s_ix"), "observations", ["utc_s"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("observations_utc_s_ix"), table_name="observations")
    op.drop_table("clips")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE clips_place")
