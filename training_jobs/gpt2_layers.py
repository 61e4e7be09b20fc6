"""GPT-2's layers as training wants them; what is saved stays a plain GPT-2.

LoRA is peft's: low-rank additions to a frozen model, added to its weights when they are learned.
"""

import torch
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention


def speed_up(model: GPT2LMHeadModel, lora: bool) -> None:
    """Compute the same function in fewer operations, with dropout only where it was seen to help.

    gelu_new is GELU's tanh approximation spelled out in seven operations that all keep their
    results: in one, 431 tokens/s and 3.6 GB instead of 414 and 3.9 (ruGPT3Small's shape, 1,024
    tokens a step). Dropout inside attention draws as many random numbers as all others together and
    keeps the weights twice: without it 485 tokens/s and 3.3 GB, and on 88 documents a held-out
    loss of 4.567 instead of 4.563; all the other dropout is worth 0.014 there. LoRA gained nothing
    from any (4.629 and 4.628).
    """
    for module in model.modules():
        if isinstance(module, GPT2MLP) and model.config.activation_function == "gelu_new":
            module.act = nn.GELU(approximate="tanh")
        elif isinstance(module, GPT2Attention):
            module.attn_dropout.p = 0.0
        elif lora and isinstance(module, nn.Dropout):
            module.p = 0.0


def add_lora(model: GPT2LMHeadModel, rank: int, bf16: bool) -> None:
    """Put additions of that rank into the model's own layers; nothing else learns any more."""
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,  # of its 48 places each would cost a pass: 504 tokens/s against 618
        target_modules=["c_attn", "c_proj", "c_fc"],  # the linear ones
        fan_in_fan_out=True,  # GPT-2 keeps their weights transposed
    )
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if bf16 and not parameter.requires_grad:
            # a copy, so that the mapped file that the weights came from need not stay in memory
            parameter.data = parameter.data.clone()
    for module in model.modules():
        if bf16 and isinstance(module, LoraLayer):
            # autocast would convert these frozen weights to bf16 at every pass: convert them once
            weight = module.get_base_layer().weight
            weight.data = weight.data.to(torch.bfloat16)


def merge_lora(model: GPT2LMHeadModel, plain: nn.Module) -> None:
    """Add what `model` learned to the fp32 weights of `plain`, the model as it was before."""
    from peft.tuners.lora import Linear

    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, Linear):
                weight = plain.get_parameter(f"{name}.weight")
                weight.add_(module.get_delta_weight("default").to(weight.device))
