"""The base model to fine-tune: found, checked and loaded with its tokenizer.

Refusal
└── BaseUnusable      no such base, not a GPT-2, broken or foreign weights
"""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from contracts.prompt import Vocabulary
from contracts.refusal import Refusal
from contracts.settings import Volumes
from training_jobs.tokenizer import load_tokenizer, train_tokenizer, vocabulary

DEMO, SCRATCH = "demo", "scratch"
DEMO_FOLDER = Path(__file__).parent / "demo_base"
SCRATCH_VOCABULARY = 1024
ATTENTION = "eager"
"""Faster than sdpa under the masks of packed blocks: 4,300 to 4,800 tokens/s against 3,300 to 3,400
(demo base, bf16, two cores, blocks of 128 and 256)."""
WEIGHTS = ("*.json", "*.txt", "*.safetensors", "pytorch_model.bin", "README.md")


class BaseUnusable(Refusal):
    """The base cannot be fine-tuned; says why and what to do."""


@dataclass(frozen=True)
class Base:
    """A model in fp32 on the CPU, its tokenizer, and what was changed about them."""

    name: str
    model: GPT2LMHeadModel
    tokenizer: Tokenizer
    notes: tuple[str, ...] = field(default=())
    licence: str = ""

    @property
    def words(self) -> Vocabulary:
        return vocabulary(self.tokenizer)

    @property
    def context(self) -> int:
        """Longest sequence in tokens."""
        return int(self.model.config.n_positions)


def find_base(name: str, volumes: Volumes) -> Path:
    """Folder of a base given as `demo`, a folder, or a hub name (BASE_DIR first, then the hub)."""
    if name == DEMO:
        return DEMO_FOLDER
    if Path(name).is_dir():
        return Path(name)
    kept = volumes.base(name)
    if kept.is_dir():
        return kept
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise BaseUnusable(
            f"base {name!r}: no such folder, and no hub name (owner/name), demo or scratch either"
        )
    return _fetch(name, kept)


def _fetch(name: str, kept: Path) -> Path:
    """Download a hub's model into BASE_DIR; a download that was cut off is gone on with."""
    from huggingface_hub import snapshot_download

    aside = kept.with_name(f".{kept.name}.part")
    try:
        snapshot_download(name, local_dir=aside, allow_patterns=list(WEIGHTS))
        shutil.rmtree(aside / ".cache", ignore_errors=True)
        aside.rename(kept)
    except Exception as error:  # the hub's client raises many kinds, requests' among them
        raise BaseUnusable(
            f"base {name!r}: not in {kept}, and the model hub did not give it"
            f" ({type(error).__name__}); run the job fetch-base (training_jobs.fetch_base) where"
            " the hub answers, put its files into that folder, or use --base demo"
        ) from None
    return kept


def load_base(name: str, volumes: Volumes) -> Base:
    """Load a base that exists already; raises BaseUnusable or TokenizerMissing."""
    folder = find_base(name, volumes)
    _check_config(folder)
    tokenizer, added = load_tokenizer(folder)
    model = _load_model(folder)
    notes = [f"{token} added to the vocabulary" for token in added]
    rows = model.get_input_embeddings().num_embeddings
    size = tokenizer.get_vocab_size()
    if size - len(added) > rows:
        raise BaseUnusable(
            f"{folder}: the tokenizer has {size - len(added)} tokens and the model only {rows};"
            " they do not belong together"
        )
    if size > rows:
        model.resize_token_embeddings(size)
        notes.append(f"embedding grown from {rows} to {size}")
    return _declared(Base(name, model, tokenizer, tuple(notes), _licence(folder)))


def _licence(folder: Path) -> str:
    """What the base's model card declares; empty where it says nothing."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.search(r"^license:\s*(\S+)", card, re.MULTILINE)
    return found[1] if found else ""


def make_base(texts: Iterable[str], seed: int) -> Base:
    """A tiny GPT-2 with random weights and a tokenizer trained on the texts."""
    tokenizer = train_tokenizer(texts, SCRATCH_VOCABULARY)
    torch.manual_seed(seed)
    shape = {"n_positions": 256, "n_embd": 64, "n_layer": 2, "n_head": 2}
    config = GPT2Config.from_dict({"vocab_size": tokenizer.get_vocab_size(), **shape})
    config._attn_implementation = ATTENTION
    model = GPT2LMHeadModel(config)  # type: ignore[no-untyped-call]
    return _declared(Base(SCRATCH, model, tokenizer))


def _declared(base: Base) -> Base:
    """Let the model's configuration say the ids that the vocabulary has."""
    for config in (base.model.config, base.model.generation_config):
        config.bos_token_id, config.eos_token_id = base.words.bos, base.words.eos
        config.pad_token_id = None  # blocks are packed, nothing is padded
    return base


def _check_config(folder: Path) -> None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaseUnusable(f"{folder}: config.json is missing; this is no model folder") from None
    except (OSError, ValueError) as error:
        raise BaseUnusable(f"{folder}: config.json cannot be read ({error})") from None
    kind = config.get("model_type")
    if kind != "gpt2":
        raise BaseUnusable(f"{folder}: the model is {kind!r}; only GPT-2 models can be fine-tuned")


def _load_model(folder: Path) -> GPT2LMHeadModel:
    """Only weights are unpickled: code in a pytorch_model.bin is refused, not run."""
    try:
        loaded: Any = GPT2LMHeadModel.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            output_loading_info=True,
            local_files_only=True,
        )
    except Exception as error:  # unpickling, safetensors and shape errors share no base class
        reason = " ".join(str(error).split())[:200]
        raise BaseUnusable(f"{folder}: the weights cannot be loaded ({reason})") from None
    model, info = loaded
    missing = [key for key in info["missing_keys"] if "attn.bias" not in key]
    if missing:
        raise BaseUnusable(f"{folder}: weights are missing, the first is {sorted(missing)[0]}")
    checked: GPT2LMHeadModel = model
    return checked
