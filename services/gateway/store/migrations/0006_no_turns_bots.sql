-- Nothing asks any more whether a bot says what one said before.
DROP INDEX turns_bots;
