"""Zones, the files they came from, permits and their documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "zone_sources",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("format", sa.String(length=10), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("noted", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("imported_by", sa.String(length=100), nullable=False),
        sa.Column("imported_utc_s", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("zone_sources_pkey")),
    )
    op.create_table(
        "zones",
        _number(),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("zone", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("zones_pkey")),
        sa.UniqueConstraint("id", name=op.f("zones_id_key")),
    )
    op.create_index(op.f("zones_source_number_ix"), "zones", ["source", "number"])
    op.create_table(
        "permits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("permit", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_utc_s", sa.Float(precision=53), nullable=False),
        sa.Column("revoked_utc_s", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("permits_pkey")),
    )
    op.create_table(
        "permit_documents",
        _number(),
        sa.Column("permit_id", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("added_by", sa.String(length=100), nullable=False),
        sa.Column("added_utc_s", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["permit_id"], ["permits.id"], name=op.f("permit_documents_permit_id_fkey")),
        sa.PrimaryKeyConstraint("number", name=op.f("permit_documents_pkey")),
    )
    op.create_index(op.f("permit_documents_permit_id_number_ix"), "permit_documents", ["permit_id", "number"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("permit_documents_permit_id_number_ix"), table_name="permit_documents")
    op.drop_table("permit_documents")
    op.drop_table("permits")
    op.drop_index(op.f("zones_source_number_ix"), table_name="zones")
    op.drop_table("zones")
    op.drop_table("zone_sources")
