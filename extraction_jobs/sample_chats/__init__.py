"""Two invented chats to try the project with: written for it, made the same each time."""
