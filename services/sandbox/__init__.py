"""A stand-in for Telegram: a Bot API over HTTP and a web page to write to the bots from."""
