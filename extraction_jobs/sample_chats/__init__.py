"""The chats of the two sample bots, as Telegram Desktop exports them, a message a line.

Both are invented: people and talk are made up, and no phrase is taken from any source.
"""
