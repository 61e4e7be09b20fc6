-- Of a call that tells how an answer's others went: sent | failed | late, else empty. Until that is
-- known its state is waiting.
ALTER TABLE outbox ADD COLUMN only_if TEXT NOT NULL DEFAULT '';
UPDATE outbox SET only_if = substr(state, 4), state = 'waiting' WHERE state LIKE 'if %';
