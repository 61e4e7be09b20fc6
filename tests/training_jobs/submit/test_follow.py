"""From the job's start to its end, over pods and connections that do not last."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.training_jobs.submit.conftest import refused
from tests.training_jobs.submit.standin import Resource, StandIn, state

JOB = "learn-avtobus-1"
HINT = f"follow it: python -m training_jobs.submit --bot avtobus --follow {JOB}"
LEFT = f"; {JOB} is left to itself; {HINT}\n"
STEPS = ("extract", "train", "convert", "evaluate", "publish")
FIGURES = {"bits_per_character": 1.23456, "context_gain_bits_per_character": 0.5}
LINES: dict[str, list[str | Resource]] = {
    "extract": [{"event": "data set built", "level": "info"}],
    "train": [
        {"service": "training", "event": "training", "level": "info", "step": 40, "loss": 3.25},
        "  train_loss = 3.1",
    ],
    "evaluate": [
        {"event": "few answers", "level": "warning"},
        {"event": "evaluated", "level": "info", "folder": "/data", **FIGURES},
    ],
    "publish": [{"event": "published", "level": "info", "bot": "avtobus", "version": "20260101-1"}],
}
SHOWN = """\
extract:
  data set built
train:
  training step=40 loss=3.25
    train_loss = 3.1
convert:
evaluate:
  warning: few answers
  evaluated bits_per_character=1.23456 context_gain_bits_per_character=0.5
publish:
  published version=20260101-1
bits_per_character: 1.235
context_gain_bits_per_character: 0.5
avtobus: version 20260101-1 serves
"""


def runs(cluster: StandIn, pod: Resource, *steps: str) -> Iterator[None]:
    """The steps one after the other, a moment between any two things."""
    for step in steps:
        cluster.put(pod, step, state())
        for line in LINES.get(step, []):
            cluster.log(pod, step, line)
            yield
        cluster.put(pod, step, state(code=0))
        yield


def whole(cluster: StandIn) -> Iterator[None]:
    yield
    pod = cluster.start_pod()
    cluster.put(pod, "extract", state("PodInitializing"))
    yield
    yield from runs(cluster, pod, *STEPS)
    cluster.finish()


def test_an_export_becomes_a_version_that_serves(cluster: StandIn, export: Path) -> None:
    cluster.play = whole(cluster)
    done = cluster.command("--export", export)
    [job] = cluster.kept["jobs"]
    assert done.stdout == f"1.0 MB uploaded\nstarted {job}\n{SHOWN}"
    assert (done.exit_code, done.stderr) == (0, "")


def test_the_job_is_the_cronjobs_as_kubectl_would_make_it(cluster: StandIn, export: Path) -> None:
    cluster.command("--export", export, "--no-follow")
    [(name, job)] = cluster.kept["jobs"].items()
    template = cluster.kept["cronjobs"]["learn-avtobus"]["spec"]["jobTemplate"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "learn-avtobus"}
    assert name.startswith("learn-avtobus-20")
    assert job["spec"] == template["spec"]
    assert job["metadata"] == {
        "name": name,
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        "labels": template["metadata"]["labels"],
        "ownerReferences": [{**owner, "uid": "uid-of-learn-avtobus", "controller": True}],
    }


Follow = Callable[..., Result]


@pytest.fixture
def follow(cluster: StandIn, job: str) -> Follow:
    """Follows the job while the play happens."""

    def run(play: Iterable[None] = ()) -> Result:
        cluster.play = iter(play)
        return cluster.command("--follow", job)

    return run


def test_a_job_that_was_started_before_is_shown_from_its_beginning(
    follow: Follow, cluster: StandIn
) -> None:
    play = whole(cluster)
    for _ in range(30):
        next(play, None)
    done = follow(play)
    assert (done.exit_code, done.stdout) == (0, SHOWN)


def test_a_lost_connection_costs_no_line_and_doubles_none(follow: Follow, cluster: StandIn) -> None:
    def losing() -> Iterator[None]:
        for number, _ in enumerate(whole(cluster)):
            cluster.drop = number % 2 == 0
            cluster.away = 3 if number % 3 == 0 else 0
            yield

    lines = follow(losing()).stdout.splitlines()
    shown = [line for line in lines if not line.startswith("waiting: http://127.0.0.1:")]
    assert shown == SHOWN.splitlines()
    assert shown != lines


@pytest.mark.parametrize("gone", [False, True])
def test_another_pod_goes_on(follow: Follow, cluster: StandIn, gone: bool) -> None:
    def replaced() -> Iterator[None]:
        first = cluster.start_pod()
        yield from runs(cluster, first, "extract")
        cluster.put(first, "train", state())
        cluster.log(first, "train", {"event": "told to end", "level": "info"})
        yield
        cluster.put(first, "train", state("Error", code=75))
        first["status"]["phase"] = "Failed"
        yield
        second = cluster.start_pod()
        if gone:
            del cluster.kept["pods"][first["metadata"]["name"]]
        yield from runs(cluster, second, *STEPS)
        cluster.finish()

    done = follow(replaced())
    before = "extract:\n  data set built\ntrain:\n  told to end\n"
    assert done.stdout == f"{before}another pod goes on: {JOB}-1\n{SHOWN}"
    assert done.exit_code == 0


def fails(cluster: StandIn, code: int, reason: str, message: str) -> Iterator[None]:
    """In the second pod."""
    before = cluster.start_pod()
    cluster.put(before, "extract", state("Error", "told to end", 75))
    before["status"]["phase"] = "Failed"
    pod = cluster.start_pod()
    yield from runs(cluster, pod, "extract")
    cluster.put(pod, "train", state(reason, message, code))
    pod["status"]["phase"] = "Failed"
    yield
    cluster.finish("Failed", "PodFailurePolicy", "Container train failed")


def test_a_step_that_refuses_says_why_itself(follow: Follow, cluster: StandIn) -> None:
    done = follow(fails(cluster, 2, "Error", "error: /data/dataset: there is nothing in it\n"))
    line = f"error: {JOB}: train: /data/dataset: there is nothing in it\n"
    assert (done.exit_code, done.stderr) == (2, line)


def test_a_step_that_fails_is_told_with_its_last_lines(follow: Follow, cluster: StandIn) -> None:
    last = [f'{{"event": "training", "step": {number}}}' for number in range(9)]
    done = follow(fails(cluster, 137, "OOMKilled", "\n".join(last)))
    lines = [f"training step={number}" for number in range(4, 9)]
    lines.append(f"error: {JOB}: train failed (exit code 137, OOMKilled)")
    assert (done.exit_code, done.stderr.splitlines()) == (1, lines)


def test_a_job_that_fails_without_a_pod_is_told(follow: Follow, cluster: StandIn) -> None:
    cluster.finish("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    line = f"error: {JOB}: failed (DeadlineExceeded: Job was active longer than specified deadline)"
    done = follow()
    assert (done.exit_code, done.stderr) == (1, f"{line}\n")


def test_a_step_whose_image_is_missing_is_given_up_after_a_while(
    follow: Follow, cluster: StandIn
) -> None:
    def stuck() -> Iterator[None]:
        pod = cluster.start_pod()
        yield from runs(cluster, pod, "extract")
        cluster.put(pod, "train", state("ImagePullBackOff", "Back-off pulling image"))

    done = follow(stuck())
    reason = f"pod {JOB}-0 does not start (train: ImagePullBackOff: Back-off pulling image)"
    assert done.stdout == f"extract:\n  data set built\nwaiting: {reason}\n"
    assert (done.exit_code, done.stderr) == (2, f"error: {reason}{LEFT}")


def test_a_cluster_that_stays_away_is_given_up_but_not_the_job(
    follow: Follow, cluster: StandIn
) -> None:
    cluster.away = 100
    done = follow()
    assert done.stderr.endswith(f": the server is currently unable to handle the request{LEFT}")
    assert done.exit_code == 2


def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(
    follow: Follow, cluster: StandIn, ctrl_c: None
) -> None:
    def interrupted() -> Iterator[None]:
        yield
        os.kill(os.getpid(), signal.SIGINT)
        yield

    done = follow(interrupted())
    line = f"stopped; {JOB} goes on by itself; {HINT}"
    assert (done.exit_code, done.stderr) == (130, f"\n{line}\n")
    assert JOB in cluster.kept["jobs"]


def test_a_job_that_is_not_there_is_refused(cluster: StandIn) -> None:
    assert refused(cluster, "--follow", JOB) == f"job {JOB}: somebody has deleted it"
