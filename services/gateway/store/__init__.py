"""The gateway's memory, a SQLite file: the inbox, the history of chats, the outbox.

`database` opens the file and gives transactions; `inbox`, `history`, `chats`, `outbox` are queries,
functions of a transaction's connection. They know neither Telegram nor generation.
"""
