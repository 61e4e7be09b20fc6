"""Alembic's revisions, applied at every start."""
