"""WhatsApp's exported chats, as Android and iOS write them in Russian and English."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from extraction_jobs import whatsapp
from extraction_jobs.messages import Chat, Found, Message

LTR, NARROW = "\u200e", "\u202f"


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return tmp_path / "WhatsApp Chat with Дача.txt"


def read(path: Path, *lines: str, found: Found | None = None) -> list[Message]:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return list(whatsapp.read(path, found or Found()))


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def test_a_chat_gives_its_messages_in_order_and_the_app_s_own_lines(chat: Path) -> None:
    messages = read(
        chat,
        "25.03.2023, 18:45 - Сообщения и звонки защищены сквозным шифрованием.",
        "25.03.2023, 18:45 - Вера: грабли у кого?",
        "у меня только лопата",
        "",
        "25.03.2023, 18:46 - Глеб: у меня: в сарае",
        "25.03.2023, 18:46 - Глеб добавил(-а) Лену",
    )
    at = utc(2023, 3, 25, 18, 45)
    assert messages[1] == Message(
        Chat("Дача", "Дача"),
        int(at) * 1000 + 1,
        at,
        "message",
        "Вера",
        "Вера",
        "грабли у кого?\nу меня только лопата",
    )
    assert [(each.kind, each.sender, each.text) for each in messages] == [
        ("service", None, "Сообщения и звонки защищены сквозным шифрованием."),
        ("message", "Вера", "грабли у кого?\nу меня только лопата"),
        ("message", "Глеб", "у меня: в сарае"),
        ("service", None, "Глеб добавил(-а) Лену"),
    ]


@pytest.mark.parametrize(
    ("header", "at"),
    [
        ("25.03.2023, 18:45 - ", (2023, 3, 25, 18, 45)),
        ("25.03.23 18:45 - ", (2023, 3, 25, 18, 45)),
        ("25/03/2023, 18:45 - ", (2023, 3, 25, 18, 45)),
        ("25/3/23, 6:45 pm - ", (2023, 3, 25, 18, 45)),
        (f"3/25/23, 6:45{NARROW}PM - ", (2023, 3, 25, 18, 45)),
        ("3/25/23, 12:05 AM - ", (2023, 3, 25, 0, 5)),
        ("3/25/23, 12:05 PM - ", (2023, 3, 25, 12, 5)),
        ("25/03/2023, 6:45 p. m. - ", (2023, 3, 25, 18, 45)),
        ("2023-03-25, 18:45 - ", (2023, 3, 25, 18, 45)),
        ("2023/3/25, 18.45 - ", (2023, 3, 25, 18, 45)),
        ("[25.03.2023, 18:45:07] ", (2023, 3, 25, 18, 45, 7)),
        (f"{LTR}[3/25/23, 6:45:07{NARROW}PM] ", (2023, 3, 25, 18, 45, 7)),
        ("[2023-03-25, 6:45:07 PM] ", (2023, 3, 25, 18, 45, 7)),
    ],
)
def test_a_date_is_read_as_the_phone_wrote_it(chat: Path, header: str, at: tuple[int, ...]) -> None:
    (message,) = read(chat, f"{header}Вера: привет")
    assert (message.at, message.text) == (utc(*at), "привет")


@pytest.mark.parametrize(
    ("later", "first"),
    [
        ("13.04.23", (2023, 4, 3)),
        ("4.13.23", (2023, 3, 4)),
        ("5.4.23", (2023, 4, 3)),  # the day comes first where nothing tells
    ],
)
def test_a_later_date_tells_the_order_of_all(
    chat: Path, later: str, first: tuple[int, int, int]
) -> None:
    messages = read(chat, "3.4.23, 10:00 - Вера: раз", f"{later}, 10:00 - Глеб: два")
    assert messages[0].at == utc(*first, 10, 0)


MEDIA: list[tuple[str, str, str]] = [
    ("<Media omitted>", "", "[вложение]"),
    ("<Без медиафайлов>", "", "[вложение]"),
    (f"{LTR}image omitted", "", "[фото]"),
    (f"{LTR}изображение отсутствует", "", "[фото]"),
    (f"{LTR}видео отсутствует", "", "[видео]"),
    (f"{LTR}video note omitted", "", "[кружок]"),
    (f"{LTR}audio omitted", "", "[голосовое]"),
    (f"{LTR}стикер отсутствует", "", "[стикер]"),
    (f"{LTR}GIF omitted", "", "[гифка]"),
    ("файл отсутствует", "", "[файл]"),
    (f"{LTR}Contact card omitted", "", "[контакт]"),
    ("<View once voice message omitted>", "", "[вложение]"),
    (f"{LTR}IMG-20230325-WA0001.jpg (file attached)", "", "[фото]"),
    (f"{LTR}IMG-20230325-WA0001.jpg (файл добавлен)\nмоя грядка", "моя грядка", "[фото]"),
    ("PTT-20230325-WA0002.opus (file attached)", "", "[голосовое]"),
    (f"{LTR}<attached: 00000012-VIDEO-2023-03-25-18-45-07.mp4>", "", "[видео]"),
    (f"{LTR}<прикреплено: 00000013-GIF-2023-03-25-18-45-07.mp4>", "", "[гифка]"),
    (f"смотрите {LTR}<attached: 00000014-PHOTO-2023.jpg>", "смотрите", "[фото]"),
    (f"раз\nдва {LTR}<attached: 00000014-PHOTO-2023.jpg>", "раз\nдва", "[фото]"),
    (f"смета.pdf • {LTR}2 pages {LTR}<attached: 00000015-смета.pdf>", "", "[файл]"),
    (f"{LTR}Location: https://maps.google.com/?q=55.75,37.62", "", "[место]"),
    ("местоположение: https://maps.google.com/?q=-55.75,37.62", "", "[место]"),
    (f"{LTR}POLL:\nКогда?\n{LTR}OPTION: завтра ({LTR}2 votes)", "", "[опрос: Когда?]"),
    ("ОПРОС:\nКогда?\nВАРИАНТ: завтра (2 голоса)", "", "[опрос: Когда?]"),
    ("Глеб отсутствует", "Глеб отсутствует", ""),
    ("жду (file attached", "жду (file attached", ""),
    (f"едем {LTR}<This message was edited>", "едем", ""),
    ("едем <Сообщение изменено>", "едем", ""),
    ("@\u2068Глеб\u2069 ау", "@Глеб ау", ""),
]  # fmt: skip


@pytest.mark.parametrize(("written", "text", "media"), MEDIA)
def test_media_become_placeholders_and_marks_go(
    chat: Path, written: str, text: str, media: str
) -> None:
    (message,) = read(chat, f"25.03.2023, 18:45 - Вера: {written}")
    assert (message.kind, message.text, message.media) == ("message", text, media)


@pytest.mark.parametrize(
    "line",
    [
        "Вера: This message was deleted",
        "Вера: This message was deleted by admin Глеб",
        f"Вера: {LTR}You deleted this message.",
        "Вера: Данное сообщение удалено",
        "Вера: Вы удалили данное сообщение",
        "Вера: Missed voice call",
        "Вера: Пропущенный аудиозвонок",
        "Вера: Waiting for this message. This may take a while.",
        f"Дача: {LTR}Messages and calls are end-to-end encrypted.",
        f"Дача: {LTR}Вера создала эту группу",
        f"Вера: {LTR}Voice call, {LTR}2 min",
        "Вера изменил(-а) название группы на «Дача: весна»",
        'Вера changed the subject from "Дача: весна" to "Дача: лето"',
        "Вера left",
    ],
)
def test_what_the_app_says_is_no_message(chat: Path, line: str) -> None:
    (message,) = read(chat, f"25.03.2023, 18:45 - {line}")
    assert message.kind == "service"


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        (f"~{NARROW}Вера", "Вера"),
        ("\u202a+7 900 000‑00‑00\u202c", "+7 900 000‑00‑00"),
        (f"{LTR}Вера Павловна", "Вера Павловна"),
    ],
)
def test_a_sender_is_the_name_alone(chat: Path, written: str, sender: str) -> None:
    (message,) = read(chat, f"[25.03.2023, 18:45:07] {written}: привет")
    assert (message.sender, message.sender_name) == (sender, sender)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("WhatsApp Chat with Вера.txt", "Вера"),
        ("Чат WhatsApp с Вера (2).txt", "Вера"),
        ("Чат WhatsApp с контактом Вера.txt", "Вера"),
        ("WhatsApp Chat - Дача/_chat.txt", "Дача"),
        ("дача.txt", "дача"),
    ],
)
def test_a_chat_is_called_as_its_file_or_folder(tmp_path: Path, path: str, name: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (message,) = read(tmp_path / path, "25.03.2023, 18:45 - Вера: привет")
    assert message.chat == Chat(name, name)


def test_a_later_export_of_the_same_chat_gives_its_messages_the_same_ids(chat: Path) -> None:
    lines = [f"25.03.2023, 18:{minute} - Вера: {minute}" for minute in (10, 10, 11, 11, 11, 12)]
    whole, later = read(chat, *lines), read(chat, *lines[2:])
    assert len({message.id for message in whole}) == 6
    assert later == whole[2:]


def test_a_pasted_line_of_the_other_system_stays_in_its_message(chat: Path) -> None:
    pasted = "[24.03.2023, 10:00:00] Глеб: копия"
    (message,) = read(chat, "25.03.2023, 18:45 - Вера: смотри", pasted)
    assert message.text == f"смотри\n{pasted}"


def test_an_impossible_date_is_counted(chat: Path) -> None:
    found = Found()
    lines = (
        "25.03.2023, 18:45 - Вера: раз",
        "31.02.2023, 18:45 - Вера: два",
        "и ещё",
        "25.03.2023, 25:45 - Вера: три",
        "25.03.2023, 18:45 - Глеб: 4",
    )
    assert [message.text for message in read(chat, *lines, found=found)] == ["раз", "4"]
    assert found.counts == {"unreadable_date": 2}


def test_a_text_without_messages_is_refused_by_its_name(chat: Path) -> None:
    with pytest.raises(Refusal, match=r"Дача\.txt: no line begins like a message"):
        read(chat, "Список покупок: грабли")


def test_a_message_of_any_length_costs_little_memory(
    chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whatsapp, "LONGEST", 100)
    lines = (f"строка {number}" for number in range(1000))
    (message,) = read(chat, "25.03.2023, 18:45 - Вера: раз", *lines)
    assert 50 < len(message.text) < 200
