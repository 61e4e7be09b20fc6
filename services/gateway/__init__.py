"""One process a bot: a Telegram update in, a reply out."""
