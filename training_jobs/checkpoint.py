"""Checkpoints of a run under way: written aside, synced, renamed; a broken one is passed over."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from contracts.refusal import Refusal
from telemetry.logs import logger

FOLDER = "checkpoints"
BEST = "best.pt"
_PART = ".part"

State = dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder; `fingerprint` names the run that they belong to."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def save(self, step: int, state: State) -> None:
        """Keep the state after so many steps, and forget the older ones."""
        older = self._numbered()
        self._write(self._folder / f"step-{step}.pt", state)
        for path in older:
            if path.name != f"step-{step}.pt":
                path.unlink(missing_ok=True)

    def save_best(self, step: int, weights: State) -> None:
        self._write(self._folder / BEST, {"step": step, **weights})

    def latest(self) -> State | None:
        """The newest state of this very run that can be read."""
        for path in reversed(self._numbered()):
            if (state := self._read(path)) is not None:
                return state
        return None

    def best(self, step: int) -> State | None:
        """The best weights, if they are those after so many steps."""
        found = self._read(self._folder / BEST)
        return found if found is not None and found["step"] == step else None

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _numbered(self) -> list[Path]:
        """Oldest first."""
        return sorted(self._folder.glob("step-*.pt"), key=lambda path: int(path.stem[5:]))

    def _write(self, path: Path, content: State) -> None:
        part = path.with_name(path.name + _PART)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save({"fingerprint": self._fingerprint, "content": content}, file)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            part.unlink(missing_ok=True)
            cause = error if isinstance(error, OSError) else error.__context__
            reason = cause.strerror if isinstance(cause, OSError) else error
            raise Refusal(f"{path}: cannot write a checkpoint ({reason})") from None

    def _read(self, path: Path) -> State | None:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            content, fingerprint = found["content"], found["fingerprint"]
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
            logger().warning("checkpoint passed over: it cannot be read", path=str(path))
            return None
        if fingerprint != self._fingerprint:
            logger().warning("checkpoint passed over: it is of another run", path=str(path))
            return None
        kept: State = content
        return kept
