"""What is a command to a bot, and to which."""

import pytest

from contracts.bot_command import Command, read_command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", Command("help", "", "")),
        ("/Mute\u00a02 часа", Command("mute", "", "2 часа")),
        ("/mute@some_bot 2h", Command("mute", "some_bot", "2h")),
        ("/insanity @some_bot on", Command("insanity", "some_bot", "on")),
        ("/help @SomeBot", Command("help", "SomeBot", "")),
        ("/insanity on @some_bot", Command("insanity", "some_bot", "on")),
        ("/mute 2 часа, @some_bot!", Command("mute", "some_bot", "2 часа,")),
        ("/quiet с 23\nдо 8\n@some_bot", Command("quiet", "some_bot", "с 23\nдо 8")),
        ("/mute@one_bot 2h @other_bot", Command("mute", "one_bot", "2h")),
        ("/report пишет на a@some_bot", Command("report", "", "пишет на a@some_bot")),
        ("/help!", Command("help", "", "")),
        ("/Help.", Command("help", "", "")),
        ("/help@some_bot, а?", Command("help", "some_bot", "а?")),
        ("/etc/passwd", None),
        ("/me.too", None),
        ("@some_bot /help", Command("help", "some_bot", "")),
        ("@some_bot, /quiet с 23\nдо 8", Command("quiet", "some_bot", "с 23\nдо 8")),
        ("/ban @vasya", Command("ban", "", "@vasya")),
        ("@vasya /help", None),
        ("ну и дела /s", None),
        ("/дом стоит", None),
        ("/", None),
        ("и/или", None),
    ],
)
def test_a_text_is_a_command_or_talk(text: str, command: Command | None) -> None:
    assert read_command(text) == command
