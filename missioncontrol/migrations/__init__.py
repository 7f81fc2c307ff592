"""Migrations of the store, run when it opens."""
