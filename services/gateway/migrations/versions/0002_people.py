"""What manners and forgetting need: reasons, albums, senders, askers, limits, words not said."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("updates") as updates:
        updates.add_column(sa.Column("topic", sa.Integer(), nullable=False, server_default="0"))
        updates.add_column(sa.Column("sender", sa.Integer(), nullable=False, server_default="0"))
        updates.create_index("updates_taken", ["taken_at", "update_id"])
    with op.batch_alter_table("turns") as turns:
        turns.add_column(sa.Column("reason", sa.String(), nullable=False, server_default=""))
        turns.add_column(sa.Column("album", sa.String(), nullable=True))
        turns.create_index("turns_user", ["user_id", "at"])
        turns.create_index("turns_at", ["at"])
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("planned_at", sa.Double(), nullable=False, server_default="0"))
        outbox.add_column(sa.Column("asker", sa.Integer(), nullable=False, server_default="0"))
        outbox.add_column(sa.Column("to_bot", sa.Boolean(), nullable=False, server_default="0"))
        outbox.add_column(sa.Column("markup", sa.String(), nullable=True))
    op.create_table(
        "denied",
        sa.Column("chat", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_table(
        "asks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("chat", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_index("asks_user", "asks", ["user_id", "at"])
    op.create_index("asks_chat", "asks", ["chat", "at"])


def downgrade() -> None:
    op.drop_table("asks")
    op.drop_table("denied")
    for table, columns, indices in (
        ("outbox", ("markup", "to_bot", "asker", "planned_at"), ()),
        ("turns", ("album", "reason"), ("turns_at", "turns_user")),
        ("updates", ("sender", "topic"), ("updates_taken",)),
    ):
        with op.batch_alter_table(table) as altered:
            for index in indices:
                altered.drop_index(index)
            for column in columns:
                altered.drop_column(column)
