"""LoRA by peft: small additions to a frozen model, merged into it when they have been learned."""

from typing import cast

from transformers import GPT2LMHeadModel

from training_jobs.config import TrainingConfig

LAYERS = ["c_attn", "c_proj", "c_fc"]
"""GPT-2's linear layers; peft calls their kind fan_in_fan_out."""


def add_lora(model: GPT2LMHeadModel, config: TrainingConfig) -> GPT2LMHeadModel:
    """Put the additions into the model's own layers: nothing else of it learns any more."""
    from peft import LoraConfig, inject_adapter_in_model

    chosen = LoraConfig(
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        lora_dropout=0.05,
        target_modules=LAYERS,
        fan_in_fan_out=True,
    )
    adapted = inject_adapter_in_model(chosen, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return cast(GPT2LMHeadModel, adapted)


def merge_lora(model: GPT2LMHeadModel) -> None:
    """Add the additions to the weights and put the plain layers back; without any, do nothing."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            place, _, last = name.rpartition(".")
            setattr(model.get_submodule(place), last, module.get_base_layer())
    model.requires_grad_(True)
