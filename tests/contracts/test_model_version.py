"""Model versions: verified before use, published so that `current` always names a whole one."""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.model_version import BotModels, Serving, hash_files, read_manifest, verify
from contracts.refusal import Refusal
from tests.contracts.versions import FILES, manifest, publish


@pytest.fixture
def models(tmp_path: Path) -> BotModels:
    return BotModels(tmp_path / "models" / "avtobus")


@pytest.fixture
def version(models: BotModels) -> Path:
    return publish(models, "1")


def rewrite(version: Path, **changes: object) -> None:
    path = version / "manifest.json"
    content = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_published_version_verifies_and_is_current(models: BotModels, version: Path) -> None:
    found = verify(version)
    assert found == manifest("1", hash_files(version))
    assert set(found.files) == set(FILES)
    assert (models.current_id(), models.previous_id()) == ("1", None)
    assert verify(models.folder / "current") == found


def test_links_are_relative_so_the_volume_can_be_mounted_anywhere(
    models: BotModels, version: Path, tmp_path: Path
) -> None:
    moved = (tmp_path / "models").rename(tmp_path / "mounted")
    assert verify(moved / "avtobus" / "current").id == "1"


def test_nothing_is_left_of_staging(models: BotModels, version: Path) -> None:
    assert {path.name for path in models.versions.iterdir()} == {"1"}
    assert {path.name for path in models.folder.iterdir()} == {"versions", "current", ".lock"}


def test_versions_are_listed_oldest_first_without_leftovers(models: BotModels) -> None:
    assert (models.ids(), models.current_id()) == ([], None)
    for version_id in ("20240501-2", "20240501-1", "20231231-9"):
        publish(models, version_id)
    (models.versions / ".staging").mkdir()
    assert models.ids() == ["20231231-9", "20240501-1", "20240501-2"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda v: (v / "model.bin").write_text("2"), "model.bin is not the file"),
        (lambda v: (v / FILES[1]).write_text(""), f"{FILES[1]} is not the file"),
        (lambda v: (v / "model.bin").unlink(), "model.bin is missing"),
        (lambda v: rewrite(v, files={"": "0"}), "is missing"),
        (lambda v: rewrite(v, files={"../../.lock": "0"}), "leaves"),
        (lambda v: rewrite(v, files={"a/../../b": "0"}), "leaves"),
        (lambda v: rewrite(v, files={"/etc/hostname": "0"}), "leaves"),
        (lambda v: rewrite(v, files=["model.bin"]), "files"),
        (lambda v: rewrite(v, prompt_format="turns-9"), "prompt_format"),
        (lambda v: rewrite(v, schema="2"), "schema"),
        (lambda v: rewrite(v, schema=2, files=[]), "schema: 2 is newer"),
        (lambda v: (v / "manifest.json").write_text(""), "manifest.json: Invalid JSON"),
        (lambda v: (v / "manifest.json").write_text("[]"), "manifest.json: "),
        (lambda v: (v / "manifest.json").write_text("{}"), "schema: Field required"),
        (lambda v: (v / "manifest.json").write_bytes(b"\xff"), "manifest.json: "),
        (lambda v: (v / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda v: v.rename(v.with_name("2")), "no model version here"),
    ],
)
def test_a_damaged_version_is_refused(
    version: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(version)
    with pytest.raises(Refusal, match=says):
        verify(version)


@pytest.mark.parametrize("manifest_is", ["a folder", "below a file"])
def test_a_manifest_that_is_no_file_is_refused(tmp_path: Path, manifest_is: str) -> None:
    version = tmp_path / "version"
    if manifest_is == "a folder":
        (version / "manifest.json").mkdir(parents=True)
    else:
        version.write_text("", encoding="utf-8")
    with pytest.raises(Refusal, match=r"manifest\.json is missing"):
        read_manifest(version)


def test_only_the_files_asked_for_are_checked(version: Path) -> None:
    (version / "model.bin").unlink()
    assert verify(version, only=[FILES[1]]).id == "1"
    with pytest.raises(Refusal, match=r"model\.bin is missing"):
        verify(version, only=["model.bin"])


def test_a_file_that_the_manifest_does_not_list_cannot_be_asked_for(version: Path) -> None:
    (version / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(Refusal, match=r"does not list config\.json"):
        verify(version, only=["config.json"])


def test_fields_of_later_releases_are_kept(version: Path) -> None:
    stop = {"token_ids": [2], "strings": ["\n"], "regex": "x+"}
    rewrite(version, mood={"good": [1, None]}, stop=stop)
    content = json.loads((version / "manifest.json").read_bytes())
    assert json.loads(read_manifest(version).model_dump_json(by_alias=True)) == content


def links(models: BotModels) -> tuple[str | None, str | None]:
    return models.current_id(), models.previous_id()


def test_publishing_moves_previous_too_and_roll_back_exchanges_the_two(models: BotModels) -> None:
    for version_id, expected in (("1", ("1", None)), ("2", ("2", "1")), ("3", ("3", "2"))):
        publish(models, version_id)
        assert links(models) == expected
    assert (models.roll_back(), links(models)) == ("2", ("2", "3"))
    assert (models.roll_back(), links(models)) == ("3", ("3", "2"))


def test_there_is_no_going_back_to_nothing_or_to_a_broken_version(models: BotModels) -> None:
    publish(models, "1")
    with pytest.raises(Refusal, match="no previous version"):
        models.roll_back()
    publish(models, "2")
    (models.path("1") / "model.bin").write_text("broken", encoding="utf-8")
    with pytest.raises(Refusal, match="is not the file"):
        models.roll_back()
    assert links(models) == ("2", "1")


def test_there_is_no_going_back_to_somebody_who_asked_to_be_forgotten(models: BotModels) -> None:
    publish(models, "1", forgets_until=1.0)
    publish(models, "2", forgets_until=2.0)
    with pytest.raises(Refusal, match="somebody in version 1 asked to be forgotten; learn again"):
        models.roll_back()
    assert links(models) == ("2", "1")
    publish(models, "3", forgets_until=2.0)
    assert models.roll_back() == "2"


def test_what_holds_somebody_forgotten_is_deleted_a_day_after_the_version_without(
    models: BotModels,
) -> None:
    """It serves, says the note; a refused version does not, and leaves what serves alone."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    publish(models, "1")
    second = publish(models, "2", forgets_until=2.0)
    refused, served = Serving(version="1", at=0.0), Serving(version="2", at=now.timestamp())
    assert models.prune(now + 30 * hour) == []
    assert models.prune(now + 30 * hour, refused) == []
    assert models.prune(now + 24 * hour, served) == []
    (second / FILES[0]).write_text("broken", encoding="utf-8")  # something has to serve
    assert models.prune(now + 25 * hour, served) == []
    (second / FILES[0]).write_text("2", encoding="utf-8")
    assert links(models) == ("2", "1")
    assert models.prune(now + 25 * hour, served) == ["1"]
    assert links(models) == ("2", None)
    publish(models, "3", forgets_until=2.0)
    assert models.prune(now + 400 * hour) == []  # nobody was forgotten in between


def test_what_holds_somebody_forgotten_goes_in_two_weeks_where_nothing_is_noted(
    models: BotModels,
) -> None:
    publish(models, "1")
    publish(models, "2", forgets_until=2.0)
    assert models.prune(datetime.now(UTC) + timedelta(days=13)) == []
    assert models.prune(datetime.now(UTC) + timedelta(days=15)) == ["1"]


def test_somebody_who_was_in_no_data_set_takes_no_version(models: BotModels) -> None:
    publish(models, "1", dataset="abc")
    second = publish(models, "2", dataset="abc")
    models.renew(3.0)
    assert (models.forgets_until("2"), verify(second).id) == (3.0, "2")
    assert models.prune(datetime.now(UTC) + timedelta(days=15)) == []
    assert models.roll_back() == "1"


def test_age_is_told_by_the_manifest_and_what_a_killed_job_left_goes_too(
    models: BotModels,
) -> None:
    for version in ("1", "2", "3"):
        os.utime(publish(models, version), (0, 0))  # copied with rsync, say
    (models.versions / ".staging").mkdir()
    assert models.prune(datetime.now(UTC)) == []
    assert sorted(path.name for path in models.versions.iterdir()) == ["1", "2", "3"]
    os.utime(models.path("1"))
    assert models.prune(datetime.now(UTC) + timedelta(hours=25)) == ["1"]
    publish(models, "4")
    assert models.prune(datetime.now(UTC) - timedelta(days=400)) == ["2"]  # a clock was ahead


def test_a_reader_sees_a_whole_version_through_200_switches(models: BotModels) -> None:
    publish(models, "1")
    publish(models, "2")
    switched = threading.Event()

    def read() -> list[str]:
        seen = []
        while not switched.is_set():
            current = models.current_id()
            assert current is not None
            assert verify(models.path(current)).id == current
            assert read_manifest(models.folder / "current").id in ("1", "2")
            seen.append(current)
        return seen

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        try:
            for _ in range(200):
                models.roll_back()
        finally:
            switched.set()
        assert set(reading.result()) == {"1", "2"}
