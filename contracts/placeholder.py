"""What stands in a conversation for what has no words: a photo, a sticker, a voice message.

People answer to it, so that a prompt must not lack it; a persona never says it.
"""

NAMES = {
    "photo": "фото",
    "sticker": "стикер",
    "voice": "голосовое",
    "video": "видео",
    "video_note": "кружок",
    "animation": "гифка",
    "audio": "аудио",
    "document": "файл",
    "poll": "опрос",
    "location": "место",
    "contact": "контакт",
    "dice": "кубик",
    "game": "игра",
    "story": "история",
}
"""By the Bot API's names of media."""


def placeholder(kind: str, words: str = "") -> str:
    """Return the placeholder of a kind of media: `[опрос: Куда едем?]`, `[стикер 😀]`, `[фото]`."""
    name = NAMES.get(kind, "вложение")
    between = ": " if kind == "poll" else " "
    return f"[{name}{between}{words}]" if words else f"[{name}]"
