"""Two invented chats to try the project with; they come out the same each time."""
