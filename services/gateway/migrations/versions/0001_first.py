"""The first tables: updates, turns, chats, outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "updates",
        sa.Column("update_id", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("chat", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
    )
    op.create_index("updates_state", "updates", ["state"])
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("chat", sa.Integer(), nullable=False),
        sa.Column("topic", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("is_bot", sa.Boolean(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.UniqueConstraint("chat", "message_id", name="turns_message"),
    )
    op.create_index("turns_topic", "turns", ["chat", "topic", "id"])
    op.create_table(
        "chats",
        sa.Column("chat", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("topic", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("migrated_to", sa.Integer(), nullable=True),
    )
    _outbox()


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("update_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("chat", sa.Integer(), nullable=False),
        sa.Column("topic", sa.Integer(), nullable=False),
        sa.Column("reply_to", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("spoken", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.UniqueConstraint("update_id", "part", name="outbox_part"),
    )
    op.create_index("outbox_state", "outbox", ["state", "chat"])


def downgrade() -> None:
    for table in ("outbox", "chats", "turns", "updates"):
        op.drop_table(table)
