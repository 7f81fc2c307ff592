"""Schedules, and the missions made of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("approved_hash", sa.String(length=64), nullable=True),
        sa.Column("approved_by", sa.String(length=100), nullable=True),
        sa.Column("approved_utc_s", sa.Float(precision=53), nullable=True),
        sa.Column("handled_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("updated_utc_s", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("schedules_pkey")),
    )
    op.create_table(
        "occurrences",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("due_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("mission_id", sa.String(length=36), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.id"], name=op.f("occurrences_schedule_id_fkey")),
        sa.ForeignKeyConstraint(["mission_id"], ["missions.id"], name=op.f("occurrences_mission_id_fkey")),
        sa.PrimaryKeyConstraint("schedule_id", "due_utc_s", name=op.f("occurrences_pkey")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("occurrences")
    op.drop_table("schedules")
