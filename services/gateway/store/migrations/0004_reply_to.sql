-- The message that a message answers, 0 none. Of what was said before the bot came, or elsewhere, the
-- words are kept with the reason 'quoted'; what stands in another chat has an id far below 0.
ALTER TABLE turns ADD COLUMN reply_to INTEGER NOT NULL DEFAULT 0;
