"""Plans as flown in the simulator."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "previews",
        sa.Column("mission_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("preview", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["mission_id", "version"],
            ["plans.mission_id", "plans.version"],
            name=op.f("previews_mission_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("mission_id", "version", name=op.f("previews_pkey")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("previews")
