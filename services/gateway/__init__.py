"""A Telegram update in, a reply out, nothing lost in between: one process for each bot."""
