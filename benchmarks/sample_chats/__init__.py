"""Composes the sample chats, of any length, from the phrase banks beside it."""
