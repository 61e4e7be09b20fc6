"""A model of ruGPT3Small's exact shape with random weights, shipped as the real one is.

125 M parameters, 50,264 rows of embedding for 50,257 tokens, context 2,048; vocab.json, merges.txt,
pytorch_model.bin, and no tokenizer.json. The vocabulary is made of bytes and pairs of bytes: its
text means nothing, its sizes and its speed are the real ones.
"""

import itertools
import json
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

from training_jobs.tokenizer import SPECIAL

TOKENS, ROWS, CONTEXT = 50_257, 50_264, 2_048


def write_rugpt3(folder: Path) -> Path:
    """Write the folder; takes about 5 s and 650 MB."""
    folder.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = TOKENS - len(SPECIAL) - len(alphabet)
    pairs = list(itertools.islice(itertools.product(reversed(alphabet), repeat=2), room))
    vocabulary = [*SPECIAL, *alphabet, *("".join(pair) for pair in pairs)]
    ids = {token: number for number, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    shape = {"vocab_size": ROWS, "n_positions": CONTEXT, "n_embd": 768, "n_layer": 12, "n_head": 12}
    model = GPT2LMHeadModel(GPT2Config.from_dict(shape))  # type: ignore[no-untyped-call]
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder
