"""The report: all that it promises is in it, and nothing of a chat gets out of its text."""

import re
from inspect import getsource
from pathlib import Path

import pytest

from contracts.dataset import CARD, TRAIN, WHOLE_CHAT, Card
from extraction_jobs.messages import Filters
from extraction_jobs.report import REPORT, TEMPLATE
from tests.extraction_jobs.conftest import Entry, Save, built, chat, entry

SCRIPT = '<script src="https://evil.example/x.js">alert(1)</script>'


def build(export: Path, output: Path, persona: str = "Anna") -> tuple[Card, str]:
    card = built(output, persona, export)
    return card, (output / REPORT).read_text(encoding="utf-8")


def talk(*answers: str) -> Entry:
    asked = (entry(2 * n, "Boris", f"вопрос {n}", minute=100 * n) for n in range(len(answers)))
    said = (entry(2 * n + 1, text=text, minute=100 * n + 1) for n, text in enumerate(answers))
    return chat(*asked, *said)


def test_it_holds_name_warnings_figures_and_conversations(save: Save, output: Path) -> None:
    odd = [entry(98) | {"type": "service", "action": "pin_message"}, entry(99, text="/start")]
    export = talk(*(f"пожалуй)) {n}" for n in range(30)), "почта: anna@kitchen.example")
    export["messages"] += odd
    card, page = build(save(export), output)
    assert "<h1>Anna</h1>" in page
    assert all(warning in page for warning in card.warnings)
    assert page.count("class=talk>") == 20
    assert re.search(r"bot command<small>a command to a bot.*?</small></td>\s*<td class=n>1<", page)
    assert re.search(r"e-mail addresses</td>\s*<td class=n>1<", page)
    assert re.search(r"пожалуй</td>\s*<td class=n>\d+\.\d</td>\s*<td class=n>0.0<", page)
    assert re.search(r"smile with brackets \)\)</td><td class=n>97 %</td><td class=n>0 %", page)
    assert "01 Jan 2025: 18 messages, 9 of the persona" in page


def test_the_persona_is_named_nowhere_but_in_the_report_and_on_a_terminal(
    save: Save, output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build(save(talk("да", "нет")), output)
    assert [path.name for path in output.iterdir() if "Anna" in path.read_text()] == [REPORT]
    assert "Anna" not in "".join(capsys.readouterr())
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    build(save(talk("да", "нет")), output)
    assert "persona: Anna\n" in capsys.readouterr().err


def test_what_people_wrote_stays_text_and_nothing_is_loaded(save: Save, output: Path) -> None:
    entries = [entry(n, text=SCRIPT) | {"from": SCRIPT} for n in range(1, 9)]
    _, page = build(save(chat(*entries)), output, "5012345671")
    assert "<h1>&lt;script" in page
    assert "&gt;alert(1)" in page
    assert "default-src 'none'" in page
    assert re.findall(r"<script|<link|<img|<iframe|@import|url\(", page) == []
    assert re.findall(r"<[^>]*(?:src|href)=", page) == []


@pytest.mark.parametrize(
    "texts", [("да",), ("😀", "😀"), ("))",) * 5], ids=["one message", "no words", "one word"]
)
@pytest.mark.parametrize("persona", ["Anna", WHOLE_CHAT])
def test_the_smallest_chats_have_one(
    save: Save, output: Path, texts: tuple[str, ...], persona: str
) -> None:
    _, page = build(save(talk(*texts)), output, persona)
    assert ("What sets the persona apart" in page) == (persona == "Anna")


def test_an_odd_date_makes_no_long_page(save: Save, output: Path) -> None:
    old = entry(1, text="давно") | {"date_unixtime": "1", "date": "1970-01-01T00:00:01"}
    _, page = build(save(chat(old, entry(2))), output)
    assert page.count("<div title=") < 200


def test_it_has_the_mode_of_the_other_files(save: Save, output: Path) -> None:
    build(save(talk("да")), output)
    modes = {(output / name).stat().st_mode for name in (TRAIN, CARD, REPORT)}
    assert len(modes) == 1


def test_every_reason_is_explained() -> None:
    explained = re.findall(r'^  "(\w+)": "', TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
    room = TEMPLATE.parent.glob("*.py")
    code = "".join(path.read_text(encoding="utf-8") for path in room if path.name != "report.py")
    reasons = re.findall(r'"((?:unreadable|repaired|too)_\w+)"|dropped\["(\w+)"\]', code)
    given = {*map("".join, reasons), *re.findall(r'return "(\w+)"', getsource(Filters))}
    assert {"forwarded", "repeated_answer", "too_large", "unreadable_date"} <= given
    assert given - set(explained) == set()
