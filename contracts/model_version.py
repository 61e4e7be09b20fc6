"""Model versions on the volume: `models/<bot>/versions/<id>/`, a manifest, the link `current`.

A version is written aside, hashed, synced and renamed; only then is the relative link `current`
replaced, by rename and under the bot's `.lock`; `previous` keeps the one before. Whatever is killed
when, `current` names a whole version.

    ModelVersionError      the version cannot be used
    ├── NoVersion          there is no such version or link
    ├── ManifestInvalid    the manifest is missing or broken
    ├── NewerSchema        written by a newer release than this one
    ├── FileMissing        a file of the manifest is not there
    └── HashMismatch       a file is not what the manifest says
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path, PurePosixPath

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictInt,
    ValidationError,
    field_validator,
)

from contracts.files import file_sha256, locked, sync, write_model
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal

SCHEMA = 1
KEEP = timedelta(days=1)
MANIFEST = "manifest.json"
MODEL_FILES = ("openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json")
"""What generation loads; a manifest without them is no served version."""


class ModelVersionError(Refusal):
    """A model version that cannot be used."""


class NoVersion(ModelVersionError):
    pass


class ManifestInvalid(ModelVersionError):
    pass


class NewerSchema(ModelVersionError):
    pass


class FileMissing(ModelVersionError):
    pass


class HashMismatch(ModelVersionError):
    pass


class Stop(BaseModel):
    """Where a reply ends: token ids and strings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    token_ids: tuple[int, ...] = ()
    strings: tuple[str, ...] = ()


class Manifest(BaseModel):
    """manifest.json; fields of later releases are kept. `files` maps relative paths to SHA-256."""

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_: StrictInt = Field(alias="schema", ge=1)
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    bot: str
    created: datetime
    base: str
    dataset_sha256: str
    prompt_format: PromptFormat
    stop: Stop
    precision: str
    metrics: dict[str, FiniteFloat] = {}
    notes: tuple[str, ...] = ()
    files: dict[str, str]

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\0" in name:
                raise ValueError(f"the path {name!r} leaves the version's folder")
        return files


_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below the folder but the manifest, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: file_sha256(path) for name, path in names.items() if name != MANIFEST}


def read_manifest(version: Path) -> Manifest:
    """Raises NoVersion, ManifestInvalid or NewerSchema; OSError where it cannot be read now."""
    try:
        text = (version / MANIFEST).read_bytes()
    except FileNotFoundError:
        if version.is_dir():
            raise ManifestInvalid(f"{version}: {MANIFEST} is missing") from None
        raise NoVersion(f"{version}: no such version") from None
    except _NO_FILE as error:
        raise ManifestInvalid(f"{version}: {MANIFEST} cannot be read ({error.strerror})") from None
    if (schema := _schema_of(text)) > SCHEMA:
        raise NewerSchema(f"{version}: manifest schema {schema}, this release reads up to {SCHEMA}")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestInvalid(f"{version / MANIFEST}: {where} {first['msg']}") from None


def _schema_of(text: bytes) -> int:
    """The schema's number, 0 where there is none: later schemas may have any other shape."""
    try:
        schema = json.loads(text)["schema"]
    except (ValueError, TypeError, KeyError):
        return 0
    return schema if isinstance(schema, int) else 0


def verify(version: Path, only: Sequence[str] | None = None) -> Manifest:
    """Check the files (all, or those in `only`) against the manifest and return it.

    Raises ModelVersionError; OSError where a file cannot be read now, which says nothing about it.
    """
    manifest = read_manifest(version)
    for name in manifest.files if only is None else only:
        if name not in manifest.files:
            raise FileMissing(f"{version}: the manifest does not list {name}")
        try:
            found = file_sha256(version / name)
        except _NO_FILE:
            raise FileMissing(f"{version}: {name} is missing") from None
        if found != manifest.files[name]:
            raise HashMismatch(f"{version}: {name} is not the file that the manifest names")
    return manifest


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


class BotModels:
    """The versions of one bot: `folder` is `models/<bot>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = folder / "versions"

    def ids(self) -> list[str]:
        """Ids of all published versions, oldest first."""
        if not self.versions.is_dir():
            return []
        return sorted(path.name for path in self.versions.iterdir() if path.name[0] != ".")

    def path(self, version_id: str) -> Path:
        return self.versions / version_id

    def current_id(self) -> str | None:
        """Return the id of the version that is served, or None where none was published."""
        return self._target("current")

    def previous_id(self) -> str | None:
        """Return the id of the version that a rollback would serve, or None."""
        return self._target("previous")

    def _target(self, link: str) -> str | None:
        try:
            return (self.folder / link).readlink().name
        except OSError:  # no link, or something else in its place
            return None

    def new_id(self, now: datetime, content_sha256: str) -> str:
        """An id that sorts by time, and that no version has, even one of this second."""
        first = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{content_sha256[:8]}"
        names = chain([first], (f"{first}-{number}" for number in count(2)))
        return next(name for name in names if not self.path(name).exists())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the bot's publishing lock; raises Locked when another process has it."""
        with locked(self.folder, "another process is publishing"):
            self.versions.mkdir(exist_ok=True)
            yield

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder on the same volume, to fill and hand to `publish`; removed afterwards.

        Call it under `locked`: leftovers of killed runs are cleared first.
        """
        for leftover in self.versions.glob(".staging*"):
            shutil.rmtree(leftover)
        folder = self.versions / ".staging"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, staged: Path, manifest: Manifest) -> Path:
        """Make the staged files a version and let `current` name it. Call it under `locked`."""
        write_model(staged / MANIFEST, manifest)
        _sync_tree(staged)
        target = self.path(manifest.id)
        staged.rename(target)
        sync(self.versions)
        self._switch(manifest.id)
        return target

    def roll_back(self) -> str:
        """Let `current` name what `previous` names, and the reverse; returns the id now current."""
        with self.locked():
            previous = self.previous_id()
            if previous is None:
                raise NoVersion(f"{self.folder}: no previous version to go back to")
            verify(self.path(previous))
            self._switch(previous)
            return previous

    def _switch(self, version_id: str) -> None:
        before = self.current_id()
        if before is not None and before != version_id and self._is_whole(before):
            self._link("previous", before)
        self._link("current", version_id)
        sync(self.folder)

    def _is_whole(self, version_id: str) -> bool:
        """A version worth going back to."""
        try:
            verify(self.path(version_id))
        except (ModelVersionError, OSError):
            return False
        return True

    def prune(self, now: datetime) -> list[str]:
        """Remove versions older than a day but `current` and `previous`; returns their ids."""
        kept = {self.current_id(), self.previous_id()}
        removed = []
        for version_id in self.ids():
            made = datetime.fromtimestamp(self.path(version_id).stat().st_mtime, UTC)
            if version_id not in kept and now - made > KEEP:
                shutil.rmtree(self.path(version_id))
                removed.append(version_id)
        return removed

    def _link(self, name: str, version_id: str) -> None:
        temporary = self.folder / f".{name}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("versions") / version_id)
        temporary.replace(self.folder / name)
