-- What the persona said last is found without reading a topic that it is silent in; a person's
-- updates and answers without reading those of all.
CREATE INDEX turns_persona ON turns (chat, topic, id) WHERE role = 'persona';
CREATE INDEX updates_sender ON updates (sender);
CREATE INDEX outbox_asker ON outbox (asker);
