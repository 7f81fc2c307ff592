"""Which frames of a flight were looked at, and from where."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "exposures",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("flight_id", sa.String(length=36), nullable=False),
        sa.Column("from_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("until_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("watching", sa.JSON(), nullable=False),
        sa.Column("frames", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("exposures_flight_id_fkey")),
        sa.PrimaryKeyConstraint("number", name=op.f("exposures_pkey")),
    )
    op.create_index(op.f("exposures_flight_id_number_ix"), "exposures", ["flight_id", "number"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index(op.f("exposures_flight_id_number_ix"), table_name="exposures")
    op.drop_table("exposures")
