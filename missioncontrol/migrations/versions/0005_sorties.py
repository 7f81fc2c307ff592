"""Which part of its plan a flight flew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("flights", sa.Column("sortie", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("flights", sa.Column("hash", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("flights", "hash")
    op.drop_column("flights", "sortie")
