"""Checkpoints of a training run: written whole or not at all; an unusable one is skipped."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from contracts.files import whole_file
from contracts.refusal import Refusal
from telemetry.logs import logger

FOLDER = "checkpoints"
STEP, BEST = "step", "best"
"""Kinds of checkpoints: what a run goes on from, and the weights that it may end with."""

State = dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder.

    fingerprint  of the training run that they belong to: those of another run are not loaded
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def save(self, kind: str, state: State) -> None:
        """Keep the state in place of the one before of its kind."""
        path = self._path(kind)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as file:
                torch.save({"fingerprint": self._fingerprint, "content": state}, file)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            reason = error.__context__ or error
            raise Refusal(f"{path}: cannot write a checkpoint ({reason})") from None

    def load(self, kind: str) -> State | None:
        """Return the state of that kind, None where there is none that can be used."""
        path = self._path(kind)
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            content: State = saved["content"]
            if saved["fingerprint"] == self._fingerprint:
                return content
            reason = "it is of another run"
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
            reason = "it cannot be read"
        logger().warning(f"checkpoint passed over: {reason}", path=str(path))
        return None

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, kind: str) -> Path:
        return self._folder / f"{kind}.pt"
