"""When a person last had a dead letter tried again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the moment."""
    op.add_column("outbox", sa.Column("retried_utc_s", sa.Float(53), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("outbox", "retried_utc_s")
