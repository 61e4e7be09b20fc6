"""A GPT-2 with its tokenizer: found by name, checked, loaded, and saved.

The base that a training run starts from and the fine-tuned model it ends with are both one of
these.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel
from transformers.utils import logging

from contracts.files import read_model
from contracts.prompt import Vocabulary
from contracts.refusal import Refusal
from contracts.settings import Volumes
from training_jobs.tokenizer import load_tokenizer

DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / "demo_base"
ATTENTION = "eager"
"""Faster than sdpa under the masks of packed blocks: 4,300 to 4,800 tokens/s against 3,300 to 3,400
(demo base, bf16, two cores, blocks of 128 and 256)."""
REVISION = "REVISION"
"""File in a downloaded base that holds its commit."""
DOWNLOADED = ["*.json", "*.txt", "*.safetensors", "pytorch_model.bin", "README.md"]


@dataclass(frozen=True)
class LanguageModel:
    """A model in fp32 and its tokenizer.

    name     the folder that it came from
    notes    what had to be changed about them when they were loaded
    licence  what the model card declares; empty where it says nothing
    revision the hub's commit; empty where it was not downloaded by us
    """

    name: str
    model: GPT2LMHeadModel
    tokenizer: Tokenizer
    notes: tuple[str, ...] = ()
    licence: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        for config in (self.model.config, self.model.generation_config):
            # Published configurations often declare ids of other tokens: the vocabulary is right.
            config.bos_token_id, config.eos_token_id = self.vocabulary.bos, self.vocabulary.eos
            config.pad_token_id = None  # blocks are packed, nothing is padded

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self.tokenizer)

    @property
    def context_length(self) -> int:
        """Longest sequence in tokens."""
        return int(self.model.config.n_positions)

    def save(self, folder: Path) -> None:
        """Write what `load_model` reads; moves the model to the CPU."""
        self.model.to("cpu").save_pretrained(folder)  # type: ignore[arg-type]
        self.tokenizer.save(str(folder / "tokenizer.json"))


def find_base(name: str, volumes: Volumes) -> Path:
    """Return the folder of a base: `demo`, a folder, or a name of the model hub.

    A hub's model is taken from BASE_DIR, and downloaded into it where it is missing. Raises Refusal
    where there is no such base, or one of another commit.
    """
    hub_name, _, revision = name.partition("@")
    in_base_dir = volumes.base(hub_name)
    for folder in (DEMO_FOLDER if name == DEMO else Path(name), in_base_dir):
        if folder.is_dir():
            found = _revision(folder) if folder == in_base_dir else ""
            if found and revision and found != revision:
                raise Refusal(f"{folder}: is of commit {found}, not {revision}; move it away")
            return folder
    if hub_name.count("/") != 1 or name.startswith((".", "/")):
        raise Refusal(f"base {name!r}: no such folder, and no hub name (owner/name) or demo either")
    return _download(hub_name, revision, in_base_dir)


def _revision(folder: Path) -> str:
    file = folder / REVISION
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def _download(name: str, revision: str, folder: Path) -> Path:
    """Download a hub's model; a download that was cut off is continued."""
    from huggingface_hub import HfApi, snapshot_download

    _quieten()
    part = folder.with_name(f".{folder.name}.part")
    try:
        commit = HfApi().model_info(name, revision=revision or None).sha or ""
        snapshot_download(name, revision=commit, local_dir=part, allow_patterns=DOWNLOADED)
        (part / REVISION).write_text(commit, encoding="utf-8")
        shutil.rmtree(part / ".cache", ignore_errors=True)
        part.rename(folder)
    except Exception as error:  # the hub's client raises many kinds, requests' among them
        raise Refusal(
            f"base {name!r}: not in {folder}, and the model hub did not give it"
            f" ({type(error).__name__}); run the job fetch-base (training_jobs.fetch_base) where"
            " the hub answers, put its files into that folder, or use --base demo"
        ) from None
    return folder


def load_model(folder: Path) -> LanguageModel:
    """Load a GPT-2 from a folder in any of the shapes in which they are published.

    Raises Refusal where it is another kind of model, is incomplete or is broken.
    """
    missing = "config.json is missing; this is no model folder"
    kind = read_model(folder / "config.json", _Config, missing).model_type
    if kind != "gpt2":
        raise Refusal(f"{folder}: the model is {kind!r}; only GPT-2 models can be fine-tuned")
    tokenizer, added = load_tokenizer(folder)
    model = _load_weights(folder)
    notes = [f"{token} added to the vocabulary" for token in added]
    rows, size = model.get_input_embeddings().num_embeddings, tokenizer.get_vocab_size()
    if size - len(added) > rows:
        raise Refusal(
            f"{folder}: the tokenizer has {size - len(added)} tokens and the model only {rows};"
            " they do not belong together"
        )
    if size > rows:
        model.resize_token_embeddings(size)
        notes.append(f"embedding grown from {rows} to {size}")
    about = {"licence": _licence(folder), "revision": _revision(folder)}
    return LanguageModel(str(folder), model, tokenizer, tuple(notes), **about)


def _quieten() -> None:
    """Let transformers report nothing but errors; they reach us as exceptions."""
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _licence(folder: Path) -> str:
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^license:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


class _Config(BaseModel):
    model_type: str | None = None


def _load_weights(folder: Path) -> GPT2LMHeadModel:
    """Load the weights alone: code in a pytorch_model.bin is refused, not run."""
    _quieten()
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
        raise Refusal(f"{folder}: the weights cannot be loaded ({reason})") from None
    model: GPT2LMHeadModel = loaded[0]
    # attn.bias is the causal mask, which older files hold and newer ones leave out
    missing = sorted(key for key in loaded[1]["missing_keys"] if "attn.bias" not in key)
    if missing:
        raise Refusal(f"{folder}: weights are missing, the first is {missing[0]}")
    return model
