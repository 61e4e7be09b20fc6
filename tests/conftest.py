"""What all rooms' tests share: a toy export, and a toy model published from it once a session."""

import services.deferred_aiogram  # isort: skip  # noqa: F401  (before whatever imports aiogram)

import json
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from contracts.conversation import Conversation
from contracts.model_version import BotModels, Manifest
from extraction_jobs.build_dataset import build
from extraction_jobs.inputs import ExtractionConfig, Inputs
from extraction_jobs.messages import ForgetList
from extraction_jobs.stored_export import Source
from tests.tiny_base import make_model
from training_jobs.bot_config import TrainingConfig
from training_jobs.convert import convert
from training_jobs.finetune import finetune
from training_jobs.publish import publish

BOT = "avtobus"
FORGETS_UNTIL = 1_735_000_000.5
"""When the last of those asked to be forgotten who are not in the toy's data set."""
PATIENCE = 60.0
"""Seconds that a test waits for an event: more than any machine needs, and never waited out."""
settings.register_profile("unhurried", deadline=None)  # machines are noisy
settings.load_profile("unhurried")
_TALK = (
    ("Привет", "Заходите, задняя площадка свободна."),
    ("Долго ещё стоим?", "До моста недолго, а на мосту как пойдёт."),
    ("Передайте за проезд", "Передаём. Сдача едет обратно."),
    ("Окно закройте, дует", "Закрыли. Теперь душно, зато вместе."),
)
_WAYS = ("", "Да. ", "Ну. ", "Эх. ")
"""So that no answer comes so often that it is thinned out."""


def toy_export() -> dict[str, object]:
    """A chat of two in Telegram's shape: 160 short conversations."""
    messages = [
        {
            "id": 2 * number + side + 1,
            "type": "message",
            "date": "2025-01-01T10:00:00",
            "date_unixtime": str(1_735_725_600 + 7200 * number + 20 * side),
            "from": ("Нина", "Автобус")[side],
            "from_id": ("user1", "user2")[side],
            "text": side * _WAYS[number // len(_TALK) % len(_WAYS)]
            + _TALK[number % len(_TALK)][side],
        }
        for number in range(160)
        for side in (0, 1)
    ]
    return {"name": "Автобус", "type": "private_group", "id": 7, "messages": messages}


def open_to_others(folder: Path) -> list[Path]:
    """What of the folder somebody else on the machine could read, if it let them in."""
    found = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    return [path for path in found if path.stat().st_mode & 0o077]


@dataclass(frozen=True)
class Toy:
    """A published toy bot and what it was made from."""

    base: Path
    bots_dir: Path
    models_dir: Path
    export: Path
    dataset: Path
    run: Path
    manifest: Manifest

    @property
    def bot_file(self) -> Path:
        return self.bots_dir / f"{BOT}.yaml"

    @property
    def models(self) -> BotModels:
        return BotModels(self.models_dir / BOT)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A tiny model trained for a few steps: it babbles, but through the real path."""
    root, base = tmp_path_factory.mktemp("toy"), tmp_path_factory.mktemp("base")
    make_model([way + text for pair in _TALK for text in pair for way in _WAYS] * 5).save(base)
    bots = root / "bots"
    bots.mkdir()
    (bots / f"{BOT}.yaml").write_text(f"name: {BOT}\n", encoding="utf-8")
    export = root / "result.json"
    export.write_text(json.dumps(toy_export(), ensure_ascii=False), encoding="utf-8")
    config = ExtractionConfig(persona="Автобус")
    training = TrainingConfig(
        base=str(base), max_steps=40, block_tokens=64, learning_rate=0.01, epochs=20
    )
    dataset, run = root / "dataset", root / "run"
    forget_list = ForgetList(until=FORGETS_UNTIL)
    build(Inputs(BOT, config, Conversation(), [Source.of(export)], forget_list), dataset)
    finetune(BOT, training, dataset, run)
    convert(run, dataset, "int8")
    manifest = publish(BOT, run, BotModels(root / "models" / BOT))
    return Toy(base, bots, root / "models", export, dataset, run, manifest)


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own."""

    folder: Path

    def fill(self, leave: int = 0) -> None:
        """Fill it but for so many bytes, or a page more."""
        filler = self.folder / "filler"
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - leave)

    def is_filled(self) -> bool:
        return (self.folder / "filler").exists()

    def free(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """It has 16 MB, or as many as its parameter says."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={getattr(request, 'param', 16)}m"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("who runs the tests may not mount a file system")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, nor can begin to meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def free_address() -> str:
    """Where nobody listens, on an address that other processes of tests let be.

    Of 127.0.0.1 somebody might take the port before who is meant to listen there does.
    """
    high, low = divmod(os.getpid(), 256)
    host = f"127.{64 + high // 256}.{high % 256}.{low}"
    with socket.create_server((host, 0)) as server:
        return f"{host}:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def logs_of_their_own() -> Iterator[None]:
    """What a test configures of logging is no other's."""
    yield
    structlog.reset_defaults()
    for handler in logging.root.handlers[:]:
        if type(handler) is logging.StreamHandler:  # not pytest's own
            logging.root.removeHandler(handler)
