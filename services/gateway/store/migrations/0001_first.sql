-- What Telegram sent, as it came, until it is handled; chat, topic and sender are 0 where there
-- is none. state: new | done | failed. crashes: attempts that the process did not survive.
CREATE TABLE updates (
    update_id INTEGER PRIMARY KEY, payload TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'new',
    crashes INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
    chat INTEGER NOT NULL, topic INTEGER NOT NULL, sender INTEGER NOT NULL,
    taken_at REAL NOT NULL
);
CREATE INDEX updates_state ON updates (state);
CREATE INDEX updates_taken ON updates (taken_at, update_id);

-- Messages of chats in the order of their handling. role: persona | other. reason: a
-- reasons.Reason, why it was answered or not; empty for the persona's own.
CREATE TABLE turns (
    id INTEGER PRIMARY KEY, chat INTEGER NOT NULL, topic INTEGER NOT NULL,
    message_id INTEGER NOT NULL, user_id INTEGER NOT NULL, role TEXT NOT NULL,
    is_bot INTEGER NOT NULL, text TEXT NOT NULL, at REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '', album TEXT, UNIQUE (chat, message_id)
);
CREATE INDEX turns_topic ON turns (chat, topic, id);
CREATE INDEX turns_user ON turns (user_id, at);
CREATE INDEX turns_at ON turns (at);

-- Settings (JSON) of a chat, topic 0, or of a topic, and the chat it became. Chat 0 is the bot.
CREATE TABLE chats (
    chat INTEGER NOT NULL, topic INTEGER NOT NULL, settings TEXT NOT NULL, migrated_to INTEGER,
    PRIMARY KEY (chat, topic)
) WITHOUT ROWID;

-- Calls of the Bot API to make, mostly messages. state: planned | sending | sent | failed.
-- reply_to 0 quotes nothing; spoken: the persona's own words; asker: whom it answers, 0 nobody.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, update_id INTEGER NOT NULL, part INTEGER NOT NULL,
    chat INTEGER NOT NULL, topic INTEGER NOT NULL, method TEXT NOT NULL, text TEXT NOT NULL,
    extra TEXT NOT NULL, reply_to INTEGER NOT NULL, spoken INTEGER NOT NULL,
    asker INTEGER NOT NULL, to_bot INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'planned',
    message_id INTEGER, not_before REAL NOT NULL, planned_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, UNIQUE (update_id, part)
);
CREATE INDEX outbox_state ON outbox (state, chat);

-- What somebody got from the bot, for limits. kind: answer|unasked|command|limit_told|report.
CREATE TABLE asks (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, chat INTEGER NOT NULL,
    kind TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX asks_user ON asks (user_id, at);
CREATE INDEX asks_chat ON asks (chat, at);

-- What the bot must not say again in a chat, as same_words.words_key has it; chat 0 is everywhere.
CREATE TABLE denied (
    chat INTEGER NOT NULL, words TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (chat, words)
) WITHOUT ROWID;
