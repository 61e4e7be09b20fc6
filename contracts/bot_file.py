"""bot.yaml: the one file that describes a bot.

This module splits it into sections; the model of a section is defined where the section is used.
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from contracts.refusal import Refusal, parse

SECTIONS = (
    "conversation",
    "moderation",
    "sampling",
    "extraction",
    "training",
    "generation",
    "gateway",
)
NAME = re.compile(r"(?!kustomization$)[a-z][a-z0-9-]{0,31}")
"""A folder of bot files may be a Kustomize folder too: its kustomization.yaml is no bot."""

M = TypeVar("M", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error; PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                problem = f"key {key!r} is given twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


class BotFile:
    """A bot's name and its sections as they are written; `section` validates one."""

    def __init__(self, path: Path, name: str, sections: Mapping[str, Any]) -> None:
        self.path = path
        self.name = name
        self.sections = sections

    @classmethod
    def read(cls, path: Path) -> "BotFile":
        """Read a bot file, or the bot.yaml in a folder.

        Raises Refusal where there is no such file, or where it is no bot file.
        """
        path = path / "bot.yaml" if path.is_dir() else path
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise Refusal(f"{path}: no such bot file (want e.g. k8s/bots/NAME/bot.yaml)") from None
        except (OSError, UnicodeDecodeError) as error:
            raise Refusal(f"{path}: cannot be read ({error})") from None
        try:
            content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise Refusal(f"{path}: not valid YAML ({_reason(error)})") from None
        return cls._split(path, content)

    @classmethod
    def _split(cls, path: Path, content: object) -> "BotFile":
        if not isinstance(content, dict):
            raise Refusal(f"{path}: a bot file is a mapping with at least a `name`")
        problems = [f"{key}: unknown key" for key in content if key not in ("name", *SECTIONS)]
        name = content.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            allowed = "lower-case letters, digits and dashes, at most 32, a letter first"
            problems.append(f"name: must be {allowed}, not kustomization (given: {name!r:.100})")
        sections = {key: {} if content.get(key) is None else content[key] for key in SECTIONS}
        if problems:
            raise Refusal(f"{path}: {'; '.join(problems)}")
        return cls(path, str(name), sections)

    def section(self, key: str, model: type[M]) -> M:
        """Return the section as `model`; raises Refusal with the path of each refused key."""
        return parse(model, self.sections[key], str(self.path), f"{key}.")


def _reason(error: Exception) -> str:
    """Return where it is wrong, and why, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def bot_path(bots_dir: Path, name: str) -> Path:
    """Return `<name>.yaml` or `<name>/bot.yaml`, whichever is there; raises Refusal."""
    if NAME.fullmatch(name):
        for path in (bots_dir / f"{name}.yaml", bots_dir / name / "bot.yaml"):
            if path.is_file():
                return path
    raise Refusal(f"no bot {name!r} in {bots_dir}")


def read_bot(path: Path, name: str) -> BotFile:
    """Read the file at `path`; raises Refusal where it is another bot's."""
    file = BotFile.read(path)
    if file.name != name:
        raise Refusal(f"{path}: is of bot {file.name!r}; the file's name and `name` differ")
    return file


def bot_names(bots_dir: Path) -> list[str]:
    """Return the names of all bots that `bot_path` finds, sorted."""
    files = {path.stem for path in bots_dir.glob("*.yaml") if path.is_file()}
    folders = {path.parent.name for path in bots_dir.glob("*/bot.yaml")}
    return sorted(name for name in files | folders if NAME.fullmatch(name))
