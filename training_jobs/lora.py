"""LoRA by peft: small additions to a frozen model, added to its weights when they are learned."""

import torch
from torch import nn
from transformers import GPT2LMHeadModel

from training_jobs.config import TrainingConfig

LAYERS = ["c_attn", "c_proj", "c_fc"]
"""GPT-2's linear layers; peft calls their kind fan_in_fan_out."""
ADAPTER = "default"


def add_lora(model: GPT2LMHeadModel, config: TrainingConfig, bf16: bool) -> None:
    """Put the additions into the model's own layers: nothing else of it learns any more.

    bf16: frozen weights that are only multiplied are kept in what they are multiplied in; the
    others are copied, so that the file they came from need not stay in memory.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    chosen = LoraConfig(
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        lora_dropout=0.0,  # of its 48 places each would cost a pass: 504 tokens/s against 618
        target_modules=LAYERS,
        fan_in_fan_out=True,
    )
    inject_adapter_in_model(chosen, model, adapter_name=ADAPTER)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if not bf16:
        return
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.clone()
    for module in model.modules():
        if isinstance(module, LoraLayer):
            weight = module.get_base_layer().weight
            weight.data = weight.data.to(torch.bfloat16)


def merge_lora(model: GPT2LMHeadModel, plain: nn.Module) -> None:
    """Add the additions that `model` learned to the weights of `plain`, the model as it was."""
    from peft.tuners.lora import Linear

    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, Linear):
                delta = module.get_delta_weight(ADAPTER)
                weight = plain.get_parameter(f"{name}.weight")
                weight.add_(delta.to(weight.device))
