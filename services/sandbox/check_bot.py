"""`python -m services.sandbox.check_bot FILE`: refuse a bot's file as its jobs and services would.

The rooms do not know each other: each section's model is imported here, in a process of its own.
"""

import sys
from importlib import import_module
from pathlib import Path

from contracts.bot_file import BotFile
from contracts.refusal import Refusal, end_process

MODELS = {
    "conversation": "contracts.conversation.Conversation",
    "extraction": "extraction_jobs.inputs.ExtractionConfig",
    "training": "training_jobs.bot_config.TrainingConfig",
    "sampling": "contracts.sampling.Sampling",
    "generation": "services.generation.bot_config.GenerationConfig",
    "moderation": "moderation.policy.Policy",
    "gateway": "services.gateway.bot_config.GatewayConfig",
}


def main(path: Path) -> None:
    try:
        file = BotFile.read(path)
        for section, model in MODELS.items():
            module, _, name = model.rpartition(".")
            file.section(section, getattr(import_module(module), name))
    except Refusal as refusal:
        end_process(str(refusal).removeprefix(f"{path}: "))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
