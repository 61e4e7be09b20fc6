"""Invalid escapes in Telegram Desktop's JSON, and the chunks it is read in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extraction_jobs.telegram_json import read_export
from tests.extraction_jobs.conftest import Save


def document(*texts: str) -> bytes:
    """An export with these texts, each already written as in a JSON string."""
    entries = (
        f'{{"id": {number}, "type": "message", "date_unixtime": "0", "text": "{text}"}}'
        for number, text in enumerate(texts)
    )
    return f'{{"name": "C", "id": 1, "messages": [{", ".join(entries)}]}}'.encode()


def telegram_string(text: str) -> str:
    """As Telegram Desktop writes it: control characters become `\\xNN`, which is no JSON."""
    return "".join(
        f"\\x{ord(letter):02X}" if letter < " " else "\\" * (letter in '\\"') + letter
        for letter in text
    )


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5, 6, 7, 1 << 16])
def test_invalid_escapes_are_repaired_wherever_a_chunk_ends(
    save: Save, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("extraction_jobs.telegram_json._CHUNK", chunk)
    expected = {
        r"\x0B": "\x0b",
        r"a\x0Bb\x1Fc": "a\x0bb\x1fc",
        r"\x0a\x0A": "\n\n",
        r"\x414": "A4",
        r"\\x41": r"\x41",
        r"\\\x41": "\\A",
        r"\\\\x41": r"\\x41",
        r"\\\\\x41": "\\\\A",
        r"\"\x41\"": '"A"',
        r"\u0041\n\x41": "A\nA",
        r"ж\x0B😀\x0B": "ж\x0b😀\x0b",
        "x41 \\\\": "x41 \\",
    }
    texts = [message.text for message in read_export(save(document(*expected)))]
    assert texts == list(expected.values())


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(
        st.text(
            st.sampled_from('\\\\\\xux041aBF"/\x00\x0b\x1f\n ж😀') | st.characters(codec="utf-8")
        ),
        max_size=4,
    ),
    chunk=st.integers(1, 7),
)
def test_any_document_read_in_chunks_gives_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(document(*(telegram_string(text) for text in texts)))
    at_once = list(read_export(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("extraction_jobs.telegram_json._CHUNK", chunk)
        assert list(read_export(path)) == at_once
    assert [message.text for message in at_once] == texts
