"""Model versions on the volume: `models/<bot>/versions/<id>/`, each with a manifest, and two links.

A version is written aside, hashed, synced and renamed; only then the relative link `current` is
replaced, by rename. `previous` names the version that served before. So `current` names a whole
version at every moment, whatever is killed when. All who write hold the bot's `.lock`.

A version that cannot be used raises Refusal; OSError means that it cannot be read now, which says
nothing about it.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from contracts.clock import DAY
from contracts.conversation import CONTEXT_TURNS
from contracts.files import file_sha256, locked, read_model, sync, up_to, write_model
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal

SCHEMA = 1
KEEP = timedelta(seconds=DAY)
LONGEST = timedelta(days=14)
"""Time after which a version counts as served, though nobody has noted that it is."""
MANIFEST = "manifest.json"
MODEL_FILES = ("openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json")
"""What generation loads; a version without them cannot be served."""


class Stop(BaseModel):
    """Where a reply ends: token ids and strings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    token_ids: tuple[int, ...] = ()
    strings: tuple[str, ...] = ()


class Manifest(BaseModel):
    """manifest.json; fields of later releases are kept.

    context_turns  most turns of a prompt: as many as the records had before an answer
    base_revision  the base's commit on the hub; empty where it is not known
    forgets_until  of its data set: everybody who asked to be forgotten until then is not in it
    files          relative paths and their SHA-256
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_: Annotated[int, up_to(SCHEMA)] = Field(alias="schema", strict=True, ge=1)
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    bot: str
    created: datetime
    base: str
    base_revision: str = ""
    dataset_sha256: str
    forgets_until: FiniteFloat = 0.0
    prompt_format: PromptFormat
    context_turns: int = Field(default=CONTEXT_TURNS, ge=1)
    stop: Stop
    precision: str
    metrics: dict[str, FiniteFloat] = {}
    notes: tuple[str, ...] = ()
    files: dict[str, str]

    @field_validator("files")
    @classmethod
    def _check_paths(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\0" in name:
                raise ValueError(f"the path {name!r} leaves the version's folder")
        return files


class Serving(BaseModel):
    """serving.json, which the bot's gateway writes: the version that serves, and since when."""

    version: str = ""
    at: float = 0.0

    @classmethod
    def read(cls, path: Path) -> "Serving":
        """Return what is noted; nothing where it cannot be read."""
        with suppress(OSError, Refusal):
            return read_model(path, cls, "not noted")
        return cls()

    @classmethod
    def note(cls, path: Path, version: str, now: float) -> None:
        """Write it down, unless the same version was noted last; raises OSError."""
        if cls.read(path).version != version:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_model(path, cls(version=version, at=now))


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below the folder but the manifest, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: file_sha256(path) for name, path in names.items() if name != MANIFEST}


def read_manifest(version: Path) -> Manifest:
    return read_model(
        version / MANIFEST, Manifest, f"no model version here ({MANIFEST} is missing)"
    )


def verify(version: Path, only: Sequence[str] | None = None) -> Manifest:
    """Check all files, or those in `only`, against the manifest and return it."""
    manifest = read_manifest(version)
    for name in manifest.files if only is None else only:
        if name not in manifest.files:
            raise Refusal(f"{version}: the manifest does not list {name}")
        try:
            found = file_sha256(version / name)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise Refusal(f"{version}: {name} is missing") from None
        if found != manifest.files[name]:
            raise Refusal(f"{version}: {name} is not the file that the manifest names")
    return manifest


def is_whole(version: Path) -> bool:
    with suppress(Refusal, OSError):
        verify(version)
        return True
    return False


class BotModels:
    """The versions of one bot: `folder` is `models/<bot>`.

    `staging`, `roll_back` and `prune` hold the lock; they raise Locked while another process does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = folder / "versions"

    def ids(self) -> list[str]:
        """Return the ids of all published versions, oldest first."""
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

    def forgets_until(self, version_id: str | None) -> float:
        """Return what its manifest says, 0 where it has none."""
        with suppress(Refusal):
            return read_manifest(self.path(version_id or "")).forgets_until
        return 0.0

    def holds_forgotten(self, version_id: str | None, forgets_until: float, dataset: str) -> bool:
        """Whether it may hold somebody whom a data set (its hash) leaves out.

        It does not if it learned the same one: then nobody who asked since is in that.
        """
        with suppress(Refusal):
            manifest = read_manifest(self.path(version_id or ""))
            return manifest.forgets_until < forgets_until and manifest.dataset_sha256 != dataset
        return forgets_until > 0.0

    def _holds_forgotten(self, version_id: str) -> bool:
        """Whether it may hold somebody whom the current version leaves out."""
        with suppress(Refusal):
            current = read_manifest(self.path(self.current_id() or ""))
            return self.holds_forgotten(version_id, current.forgets_until, current.dataset_sha256)
        return False

    def renew(self, forgets_until: float) -> Manifest:
        """Note of the current version that it lacks also who asked until then."""
        with self._locked():
            folder = self.path(self.current_id() or "")
            manifest = read_manifest(folder).model_copy(update={"forgets_until": forgets_until})
            write_model(folder / MANIFEST, manifest)
            return manifest

    def _target(self, link: str) -> str | None:
        with suppress(OSError):  # no link, or something else in its place
            return (self.folder / link).readlink().name
        return None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty folder on the same volume, to fill and hand to `publish`."""
        with self._locked():
            folder = self.versions / ".staging"
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self.folder, "another process is publishing"):
            self.versions.mkdir(exist_ok=True)
            for leftover in self.versions.glob(".staging*"):  # of a run that was killed
                shutil.rmtree(leftover)
            yield

    def publish(self, staged: Path, manifest: Manifest) -> Path:
        """Make the folder that `staging` yielded a version, and let `current` name it."""
        write_model(staged / MANIFEST, manifest)
        for path in sorted(staged.rglob("*"), reverse=True):
            sync(path)
        sync(staged)
        target = self.path(manifest.id)
        staged.rename(target)
        sync(self.versions)
        self._switch(manifest.id)
        return target

    def roll_back(self) -> str:
        """Exchange `current` and `previous`; return the id that is current now."""
        with self._locked():
            previous = self.previous_id()
            if previous is None:
                raise Refusal(f"{self.folder}: no previous version to go back to")
            if self._holds_forgotten(previous):
                reason = "asked to be forgotten; learn again instead of going back"
                raise Refusal(f"{self.folder}: somebody in version {previous} {reason}")
            verify(self.path(previous))
            self._switch(previous)
            return previous

    def prune(self, now: datetime, serving: Serving | None = None) -> list[str]:
        """Remove versions older than a day but `current` and `previous`; return their ids.

        `previous` goes too if it holds somebody whom `current` leaves out, once that has served for
        a day as `serving` says, at the latest two weeks after it was published.
        """
        with self._locked():
            current, previous = self.current_id(), self.previous_id()
            if previous and current and self._is_due(previous, current, now, serving):
                (self.folder / "previous").unlink()
                previous = None
            kept = (current, previous)
            removed = [each for each in self.ids() if each not in kept and self._is_old(each, now)]
            for version_id in removed:
                shutil.rmtree(self.path(version_id))
            return removed

    def _is_due(self, previous: str, current: str, now: datetime, serving: Serving | None) -> bool:
        if not self._holds_forgotten(previous) or not is_whole(self.path(current)):
            return False  # where it is not whole, the previous one serves
        if serving and serving.version == current and now.timestamp() - serving.at > DAY:
            return True
        return self._age(current, now) > LONGEST

    def _is_old(self, version_id: str, now: datetime) -> bool:
        """Whether it was published a day ago, or by a clock that was a day ahead."""
        return abs(self._age(version_id, now)) > KEEP

    def _age(self, version_id: str, now: datetime) -> timedelta:
        try:
            created = read_manifest(self.path(version_id)).created.astimezone(UTC)
        except Refusal:  # being copied here, perhaps
            created = datetime.fromtimestamp(self.path(version_id).stat().st_mtime, UTC)
        return now - created

    def _switch(self, version_id: str) -> None:
        """Replace `current` by rename; `previous` names the version before, if that is whole."""
        before = self.current_id()
        links = {"current": version_id}
        if before is not None and before != version_id and is_whole(self.path(before)):
            links = {"previous": before, "current": version_id}
        for name, target in links.items():
            temporary = self.folder / f".{name}"
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(Path("versions") / target)
            temporary.replace(self.folder / name)
        sync(self.folder)
