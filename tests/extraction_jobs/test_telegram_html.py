"""Telegram Desktop's HTML export, as `export_output_html.cpp` writes it."""

from pathlib import Path
from typing import Any

import pytest

from contracts.refusal import Refusal
from extraction_jobs import telegram_html
from extraction_jobs.messages import Chat, Found, Message

HEAD = """<!DOCTYPE html>
<html>
 <head>
  <meta charset="utf-8"/>
  <title>Exported Data</title>
 </head>
 <body onload="CheckLocation();">
  <div class="page_wrap">
   <div class="page_header">
    <div class="content">
     <div class="text bold">
{chat}
     </div>
    </div>
   </div>
   <div class="page_body chat_page">
    <div class="history">
"""
TAIL = """
    </div>
   </div>
  </div>
 </body>
</html>
"""
DATE = "25.03.2023 18:45:07 UTC+03:00"
AT = 1679759107.0


def div(name: str, text: str) -> str:
    return f'\n  <div class="{name}">\n{text}\n  </div>\n'


def entry(
    id: int, text: str = "", name: str | None = "Вера", inner: str = "", date: str = DATE
) -> str:
    """A message; without a name it is joined to the one before."""
    joined = "" if name else " joined"
    words = div("text", text) if text else ""
    return (
        f'\n<div class="message default clearfix{joined}" id="message{id}">\n'
        + ' <div class="pull_left userpic_wrap">\n  <div class="initials">ВП</div>\n </div>\n'
        + '\n <div class="body">\n'
        + f'\n  <div class="pull_right date details" title="{date}">\n18:45\n  </div>\n'
        + (div("from_name", name) if name else "")
        + inner.replace("{words}", words)
        + ("" if "{words}" in inner else words)
        + "\n </div>\n\n</div>\n"
    )


def service(id: int, text: str) -> str:
    body = f'\n <div class="body details">\n{text}\n </div>\n'
    return f'\n<div class="message service" id="message{id}">\n{body}\n</div>\n'


def forwarded(author: str | None, date: str = "24.03.2023 10:00:00 UTC+03:00") -> str:
    span = f'<span class="date details" title="{date}"> 24.03.2023 10:00:00</span>'
    head = div("from_name", author + span) if author else ""
    return f'\n  <div class="forwarded body">\n{head}{{words}}\n  </div>\n'


def media(name: str, title: str = "", link: bool = False, more: str = "") -> str:
    frame = f"media clearfix pull_left {'block_link ' if link else ''}{name}"
    inner = f'<div class="body">\n{div("title bold", title)}{more}</div>\n'
    return f'\n<div class="media_wrap clearfix">\n<div class="{frame}">\n{inner}</div>\n</div>\n'


def reply(href: str) -> str:
    link = f'<a href="{href}" onclick="return GoToMessage(3)">this message</a>'
    return div("reply_to details", f"In reply to {link}")


def page(*entries: str, chat: str = "Дача") -> str:
    return HEAD.replace("{chat}", chat) + "".join(entries) + TAIL


def read(folder: Path, *entries: str, found: Found | None = None) -> list[Message]:
    (folder / "messages.html").write_text(page(*entries), encoding="utf-8")
    return list(telegram_html.read(folder, found or Found()))


def test_a_chat_gives_its_messages_in_order(tmp_path: Path) -> None:
    messages = read(
        tmp_path,
        service(-1, "25 March 2023"),
        entry(10, "грабли у кого?<br>у меня &laquo;лопата&raquo; &amp; всё"),
        entry(11, "и <strong>вёдра</strong>", name=None),
        service(12, "Вера pinned <a href='#go_to_message10'>this message</a>"),
        entry(13, "тут", name="Глеб", date="25.03.2023 18:46:00 UTC+03:00"),
    )
    garden = Chat("Дача", "Дача")
    question = "грабли у кого?\nу меня «лопата» & всё"
    assert messages == [
        Message(garden, 10, AT, "message", "Вера", "Вера", question),
        Message(garden, 11, AT, "message", "Вера", "Вера", "и вёдра"),
        Message(garden, 12, AT, "service", None, None, "Вера pinned this message"),
        Message(garden, 13, AT + 53, "message", "Глеб", "Глеб", "тут"),
    ]


POLL = div("media_poll", div("question bold", "Когда сажаем?") + div("details", "Anonymous poll"))
COMMAND = '<a href="" onclick="return ShowBotCommand(&quot;start&quot;)">/start</a>'
BUTTONS = '<table class="bot_buttons_table"><tbody><tr><td><a ="" href="x">Да</a></td></tr></table>'
ENTRIES: list[tuple[str, dict[str, Any]]] = [
    *(
        (entry(9, "!", date=date), {"at": at})
        for date, at in (
            ("25.03.2023 18:45:07 UTC+03:00", AT),
            ("25.03.2023 18:45:07 UTC-05:30", AT + 8.5 * 3600),
            ("25.03.2023 18:45:07 UTC", AT + 3 * 3600),
            ("25.03.2023 18:45:07", AT + 3 * 3600),
        )
    ),
    *(
        (entry(9, "!", name=name), {"sender": sender, "sender_name": shown, "via_bot": via})
        for name, sender, shown, via in (
            ("Вера Павловна ", "Вера Павловна", "Вера Павловна", False),
            ("Deleted Account", "Deleted Account", None, False),
            ("Вера via @gif", "Вера", "Вера", True),
            ("O&apos;Neil &lt;3", "O'Neil <3", "O'Neil <3", False),
        )
    ),
    *(
        (entry(9, "!", inner=inner), {"reply_to": answered})
        for inner, answered in (
            (reply("#go_to_message7"), 7),
            (reply("messages2.html#go_to_message1007"), 1007),
            (div("reply_to details", "In reply to a message in another chat"), None),
        )
    ),
    *(
        (
            entry(9, "копия", inner=forwarded(author)),
            {"sender": "Вера", "text": "копия", "forwarded": True, "forwarded_from": name} | more,
        )
        for author, name, more in (
            ("Глеб", "Глеб", {"at": AT, "via_bot": False}),
            ("Глеб via @gif", "Глеб", {"via_bot": True}),
            ("Deleted Account", None, {}),
        )
    ),
    *(
        (entry(9, inner=inner), {"text": "", "media": shown})
        for inner, shown in (
            ("", ""),
            ('<a class="photo_wrap clearfix pull_left" href="a.jpg"></a>', "[фото]"),
            ('<a class="sticker_wrap clearfix pull_left" href="a.webp"></a>', "[стикер]"),
            ('<a class="animated_wrap clearfix pull_left" href="a.mp4"></a>', "[гифка]"),
            ('<a class="video_file_wrap clearfix pull_left" href="a.mp4"></a>', "[видео]"),
            (media("media_photo", "Photo"), "[фото]"),
            (media("media_photo", "Sticker"), "[стикер]"),
            (media("media_video", "Video file"), "[видео]"),
            (media("media_video", "Video message"), "[кружок]"),
            (media("media_video", "Animation"), "[гифка]"),
            (media("media_voice_message", "Voice message", link=True), "[голосовое]"),
            (media("media_audio_file", "Группа – Песня"), "[аудио]"),
            (media("media_file", "смета.pdf", link=True), "[файл]"),
            (media("media_contact", "Глеб"), "[контакт]"),
            (media("media_live_location", "Live location"), "[место]"),
            (media("media_venue", "Рынок"), "[место]"),
            (media("media_game", "Шашки"), "[игра]"),
            (media("media_invoice", "Счёт"), "[вложение]"),
            (f'<div class="media_wrap clearfix">{POLL}</div>', "[опрос: Когда сажаем?]"),
        )
    ),
    (entry(9, COMMAND + " сейчас"), {"text": "/start сейчас", "is_command": True}),
    (entry(9, "наберите " + COMMAND), {"is_command": False}),
    (entry(9, "выбирайте" , inner="{words}" + BUTTONS), {"text": "выбирайте", "is_bot": True}),
    (entry(9, inner=media("media_call", "Глеб")), {"kind": "service"}),
    (service(9, "Вера created topic &laquo;Рассада&raquo;"), {"opens_topic": True}),
    (service(9, "Вера changed topic title to &laquo;Сад&raquo;"), {"opens_topic": False}),
    (entry(9, "&quot;bot_buttons_table&quot; media_call"), {"kind": "message", "is_bot": False}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), ENTRIES)
def test_an_entry_is_read_with_all_it_says(
    tmp_path: Path, written: str, expected: dict[str, Any]
) -> None:
    (message,) = read(tmp_path, written)
    assert {name: getattr(message, name) for name in expected} == expected


def test_a_joined_copy_has_sender_author_and_bot_of_the_one_before(tmp_path: Path) -> None:
    _, joined = read(
        tmp_path,
        entry(1, "раз", inner=forwarded("Глеб via @gif")),
        entry(2, "два", name=None, inner=forwarded(None)),
    )
    assert (joined.sender, joined.forwarded_from) == ("Вера", "Глеб")
    assert joined.forwarded
    assert joined.via_bot


@pytest.mark.parametrize("given", [".", "messages.html", "messages2.html"])
def test_the_files_of_a_chat_are_read_in_the_order_of_their_numbers(
    tmp_path: Path, given: str
) -> None:
    for number in (1, 2, 10):
        name = f"messages{number if number > 1 else ''}.html"
        (tmp_path / name).write_text(page(entry(number, "!")), encoding="utf-8")
    messages = telegram_html.read(tmp_path / given, Found())
    assert [message.id for message in messages] == [1, 2, 10]


def test_a_file_with_a_name_of_its_own_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "messages.html").write_text(page(entry(1, "!")), encoding="utf-8")
    (tmp_path / "дача.html").write_text(page(entry(2, "!")), encoding="utf-8")
    (message,) = telegram_html.read(tmp_path / "дача.html", Found())
    assert message.id == 2


def test_chats_of_one_name_in_an_account_are_told_apart(tmp_path: Path) -> None:
    keys = set()
    for name in ("chat_001", "chat_002"):
        (tmp_path / name).mkdir()
        (message,) = read(tmp_path / name, entry(1, "!"))
        assert message.chat.name == "Дача"
        keys.add(message.chat.key)
    assert len(keys) == 2


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    found = Found()
    entries = (
        entry(1, "раз", date="вчера"),
        entry(2, "два", date="31.02.2023 18:45:07 UTC+03:00"),
        entry(3, "три").replace('id="message3"', 'id="m"'),
        entry(4, "четыре"),
    )
    assert [message.id for message in read(tmp_path, *entries, found=found)] == [4]
    assert found.counts == {"unreadable_date": 2, "unreadable_id": 1}


def test_a_page_of_any_length_costs_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_html, "LONGEST", 1000)
    first, second = read(tmp_path, entry(1, "а" * 500_000), entry(2, "тут", name=None))
    assert len(first.text) < 100_000
    assert second.text == "тут"


@pytest.mark.parametrize("text", ["", page(), page(service(-1, "No exported messages"))])
def test_a_page_without_messages_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "messages.html").write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match="no message of a Telegram export"):
        list(telegram_html.read(tmp_path, Found()))
