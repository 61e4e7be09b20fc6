"""Checkpoints of a training run: written whole or not at all; an unusable one is skipped."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from contracts.files import sync
from contracts.refusal import Refusal
from telemetry.logs import logger

FOLDER = "checkpoints"
BEST = "best.pt"

State = dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder.

    fingerprint  of the training run that they belong to: those of another run are not loaded
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def save(self, step: int, state: State) -> None:
        """Keep the state after so many steps, then delete the older ones."""
        older = self._newest_first()
        newest = self._folder / f"step-{step}.pt"
        self._write(newest, state)
        for path in older:
            if path != newest:
                path.unlink(missing_ok=True)

    def save_best(self, step: int, weights: State) -> None:
        self._write(self._folder / BEST, {"step": step, "weights": weights})

    def load_latest(self) -> State | None:
        """Return the newest state that can be used, None where there is none."""
        return next(filter(None, map(self._read, self._newest_first())), None)

    def load_best(self, step: int) -> State | None:
        """Return the best weights if they are those after so many steps."""
        best = self._read(self._folder / BEST)
        return best["weights"] if best and best["step"] == step else None

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        paths = self._folder.glob("step-*.pt")
        return sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True)

    def _write(self, path: Path, content: State) -> None:
        part = path.with_name(f"{path.name}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:  # a checkpoint is too large to be written from memory
                torch.save({"fingerprint": self._fingerprint, "content": content}, file)
            sync(part)
            part.rename(path)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            part.unlink(missing_ok=True)
            cause = error if isinstance(error, OSError) else error.__context__
            reason = cause.strerror if isinstance(cause, OSError) else error
            raise Refusal(f"{path}: cannot write a checkpoint ({reason})") from None

    def _read(self, path: Path) -> State | None:
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            content: State = saved["content"]
            is_ours = saved["fingerprint"] == self._fingerprint
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
            logger().warning("checkpoint passed over: it cannot be read", path=str(path))
            return None
        if not is_ours:
            logger().warning("checkpoint passed over: it is of another run", path=str(path))
            return None
        return content
