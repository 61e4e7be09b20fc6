"""Long-running processes: generation, one gateway a bot, and a stand-in for Telegram."""
