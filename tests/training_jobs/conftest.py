"""Base models in the shapes in which they are published."""

import json
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tests.tiny_base import train_tokenizer
from training_jobs.tokenizer import SPECIAL

TEXTS = ["Привет, как дела?", "Заходите, задняя площадка свободна.", "Передайте за проезд"] * 20
EXTRA_ROWS = 7
"""How many rows ruGPT3Small's embedding has beyond its vocabulary."""


def write_gpt2(folder: Path, special: tuple[str, ...] = SPECIAL, extra_rows: int = 0) -> Path:
    """A tiny GPT-2 as ruGPT3Small is shipped: vocab.json, merges.txt, pytorch_model.bin.

    No tokenizer.json; config.json declares ids that mean other tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(TEXTS, 320)
    tokenizer.model.save(str(folder))
    vocabulary = tokenizer.get_vocab()
    kept = sorted((t for t in vocabulary if t in special or t not in SPECIAL), key=vocabulary.get)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(kept)}))
    torch.manual_seed(0)
    shape = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    declared = {"vocab_size": len(kept) + extra_rows, "bos_token_id": 11, "eos_token_id": 12}
    model = GPT2LMHeadModel(GPT2Config.from_dict(shape | declared))  # type: ignore[no-untyped-call]
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


@pytest.fixture
def rugpt3(tmp_path: Path) -> Path:
    """A folder of ruGPT3Small's shape, tiny."""
    return write_gpt2(tmp_path / "base", extra_rows=EXTRA_ROWS)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume of data for each test: jobs lock their bot's folder in it."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "volume"))
    return tmp_path / "volume"
