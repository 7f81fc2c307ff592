"""Who holds each vehicle."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "controls",
        sa.Column("sysid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person", sa.String(length=100), nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("since_utc_s", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("sysid", name=op.f("controls_pkey")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("controls")
