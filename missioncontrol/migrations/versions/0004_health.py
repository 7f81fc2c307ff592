"""What was found of each flight, and the maintenance that vehicles had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("flights", sa.Column("summary", sa.JSON(), nullable=True))
    op.create_table(
        "maintenance",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sysid", sa.Integer(), nullable=False),
        sa.Column("registration", sa.String(length=100), nullable=False),
        sa.Column("utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("work", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("maintenance_pkey")),
    )
    op.create_index(op.f("maintenance_registration_number_ix"), "maintenance", ["registration", "number"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("maintenance_registration_number_ix"), table_name="maintenance")
    op.drop_table("maintenance")
    op.drop_column("flights", "summary")
