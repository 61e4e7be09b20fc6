-- Words not to say again are kept as same_words.denial_key has them: they outlive what is deleted.
UPDATE denied SET words = denial_key(words);
-- Whether a bot says what one said before is found without reading what people said.
CREATE INDEX turns_bots ON turns (chat, topic, id) WHERE is_bot;
