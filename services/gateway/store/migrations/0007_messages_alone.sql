-- The outbox holds messages alone: what else there is to do is done at once, or not.
DELETE FROM outbox WHERE method != 'sendMessage' OR state = 'waiting';
ALTER TABLE outbox DROP COLUMN method;
ALTER TABLE outbox DROP COLUMN only_if;
