"""A small model version, for the tests that publish one."""

from datetime import UTC, datetime
from pathlib import Path

from contracts.model_version import BotModels, Manifest, Stop, hash_files
from contracts.prompt import PromptFormat

CREATED = datetime.now(UTC)
FILES = ("model.bin", "tokenizer/vocab.json")


def manifest(
    version_id: str, files: dict[str, str], forgets_until: float = 0.0, dataset: str = ""
) -> Manifest:
    return Manifest(
        schema=1,
        id=version_id,
        bot="avtobus",
        created=CREATED,
        base="demo",
        dataset_sha256=dataset or version_id,
        forgets_until=forgets_until,
        prompt_format=PromptFormat.TURNS_1,
        stop=Stop(token_ids=(2,)),
        precision="int8",
        metrics={"perplexity": 20.5},
        files=files,
    )


def publish(
    models: BotModels, version_id: str, forgets_until: float = 0.0, dataset: str = ""
) -> Path:
    """Publish a version, of a data set of its own unless one is named."""
    with models.staging() as staged:
        for name in FILES:
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_text(version_id, encoding="utf-8")
        described = manifest(version_id, hash_files(staged), forgets_until, dataset)
        return models.publish(staged, described)
