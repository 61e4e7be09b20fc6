"""What extraction and the check of a bot's file say of wrong input, by their own code."""

import zipfile
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pathlib import Path

import pytest

from contracts.bot_file import BotFile
from contracts.refusal import Refusal
from extraction_jobs.messages import Found
from extraction_jobs.sources import read
from services.sandbox.check_bot import MODELS


def _zip(name: str, content: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


EXPORTS = [
    *(b"", b"Hello, world", b"Rar!\x1a\x07", b"7z\xbc\xaf", b"%PDF-1.7", b"\x89PNG", b"SQLite 3"),
    *(b'{"guild": {', b'[{"client_msg_id": 1', b'{"room_name": 1', b'{"backupTimeMs": 1'),
    *(b'{"peer_id": 1', b'{"timestamp_ms": 1', b'{"messages": [{"date": 1}]}'),
    "привет".encode("utf-16"),
    "[01.02.24, 10:00:00] Вася: привет, как дела\n".encode("cp1251") * 9,
    b'{"messages": [{"id": 1, "type": "message"',
    '{"name": "Чат", "messages": ['.encode() + "и".encode("cp1251") * 99,
    b'<div class="history"></div>',
    b'{"at": "never", "text": ""}\n',
    *(b"PK\x03\x04", _zip("a.png", b"a"), _zip("a.json", b"a"), _zip("a.json", bytes(10**8))),
]  # fmt: skip
BOT_FILES = [
    *("a: [", "name: vasya\nname: vasya", "- a", "\tname: a", "name: Вася", "nam: vasya"),
    *("sampling: {temperatur: 1, top: 2}", "sampling: {temperature: 90}", "sampling: 5"),
    *("training: {method: other}", "training: {epochs: 0, base: ''}", "training: {seed: [1]}"),
    *("training: {max_steps: много}", "training: {patience: 1.5}", "extraction: {persona: {a: b}}"),
    *("gateway: {names: вася}", "gateway: {names: [5]}", "gateway: {insanity: maybe}"),
    *("gateway: {time_zone: Moscow}", "gateway: {quiet: night}", "gateway: {owner_only: true}"),
    f"gateway: {{texts: {{start: {'а' * 5000}}}}}",
    *("gateway: {names: ['']}", "moderation: {profanity: maybe}", "gateway: {chattiness: 101}"),
]  # fmt: skip


def refusals(folder: Path) -> Iterator[str]:
    """Yield one for each of the exports and files above."""
    for content in EXPORTS:
        path = folder / "result.json"
        path.write_bytes(content)
        with pytest.raises(Refusal) as refused:
            assert not list(read(path, Found())), content
        yield str(refused.value)
    for text in BOT_FILES:
        path = folder / "bot.yaml"
        is_section = text.split(":")[0] in MODELS
        path.write_text(f"name: vasya\n{text}" if is_section else text)
        with pytest.raises(Refusal) as refused:
            _check(path)
        yield str(refused.value).removeprefix(f"{path}: ")


def _check(path: Path) -> None:
    file = BotFile.read(path)
    for section, model in MODELS.items():
        module, _, name = model.rpartition(".")
        file.section(section, getattr(import_module(module), name))
