"""A base model made on the spot: a tokenizer trained on a few texts, a tiny GPT-2 at random."""

from collections.abc import Iterable

import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from training_jobs.language_model import ATTENTION, LanguageModel
from training_jobs.tokenizer import SPECIAL


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """A byte-level BPE of at most `size` tokens, with ruGPT3's special tokens at 0 to 4."""
    tokenizer = ByteLevelBPETokenizer()
    special = list(SPECIAL)
    tokenizer.train_from_iterator(texts, size, special_tokens=special, show_progress=False)
    return Tokenizer.from_str(tokenizer.to_str())


def make_model(texts: Iterable[str]) -> LanguageModel:
    tokenizer = train_tokenizer(texts, size=1024)
    torch.manual_seed(1)
    shape = {"n_positions": 256, "n_embd": 64, "n_layer": 2, "n_head": 2}
    config = GPT2Config.from_dict({"vocab_size": tokenizer.get_vocab_size(), **shape})
    config._attn_implementation = ATTENTION
    model = GPT2LMHeadModel(config)  # type: ignore[no-untyped-call]
    return LanguageModel("tiny", model, tokenizer)
