"""Changes to the layers for training leave the model what it is."""

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from tests.tiny_base import make_model
from training_jobs.gpt2_layers import add_lora, merge_lora, speed_up


@pytest.fixture
def model() -> GPT2LMHeadModel:
    base = make_model(["Привет, заходите"] * 5)
    base.model.train(False)
    return base.model


@torch.no_grad()
def logits(model: GPT2LMHeadModel, bf16: bool = False) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found: Tensor = model(input_ids=torch.arange(5, 45)[None]).logits
    return found.float()


@pytest.mark.parametrize(("lora", "dropout"), [(False, {0.0, 0.1}), (True, {0.0})])
def test_faster_layers_compute_the_same_with_dropout_only_where_it_helps(
    model: GPT2LMHeadModel, lora: bool, dropout: set[float]
) -> None:
    before = logits(model)
    speed_up(model, lora=lora)
    torch.testing.assert_close(logits(model), before, atol=1e-5, rtol=1e-5)
    assert {each.p for each in model.modules() if isinstance(each, nn.Dropout)} == dropout


@pytest.mark.parametrize("bf16", [False, True])
def test_what_lora_learned_is_in_the_merged_model(model: GPT2LMHeadModel, bf16: bool) -> None:
    plain = copy.deepcopy(model)
    before = logits(plain)
    add_lora(model, rank=4, bf16=bf16)
    torch.testing.assert_close(logits(model, bf16), before, atol=0.03 if bf16 else 1e-5, rtol=0.02)
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    with torch.no_grad():
        for name, parameter in trained.items():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    merge_lora(model, plain)
    assert {each.dtype for each in plain.parameters()} == {torch.float32}
    assert (logits(plain) - before).abs().max() > 0.1
    tolerance = 0.05 if bf16 else 1e-4
    torch.testing.assert_close(logits(plain), logits(model, bf16), atol=tolerance, rtol=0.02)
