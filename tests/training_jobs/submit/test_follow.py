"""A job is followed from its start to its end, across replaced pods and lost connections."""

from collections.abc import Iterator

import pytest

from tests.training_jobs.submit.conftest import refusal
from tests.training_jobs.submit.standin import JOB, UNAVAILABLE, Resource, StandIn, state

HINT = f"follow it: python -m training_jobs.submit --bot avtobus --follow {JOB}"
LEFT = f"; {JOB} is left to itself; {HINT}"
STEPS = ("extract", "train", "convert", "evaluate", "publish")
FIGURES = {"bits_per_character": 1.23456, "context_gain_bits_per_character": 0.5}
LINES: dict[str, list[str | Resource]] = {
    "extract": [{"event": "data set built", "level": "info", "folder": "/data"}],
    "train": [{"event": "training", "service": "x", "step": 40, "loss": 3.25}, "  loss = 3.1"],
    "evaluate": [{"event": "few answers", "level": "warning"}, {"event": "evaluated", **FIGURES}],
    "publish": [{"event": "published", "level": "info", "bot": "avtobus", "version": "20260101-1"}],
}
SHOWN = """\
extract:
  data set built
train:
  training step=40 loss=3.25
    loss = 3.1
convert:
evaluate:
  warning: few answers
  evaluated bits_per_character=1.23456 context_gain_bits_per_character=0.5
publish:
  published version=20260101-1
avtobus: done
"""


def run_steps(cluster: StandIn, pod: Resource, *steps: str) -> Iterator[None]:
    """Run the steps one after another, with a pause after every line and every step."""
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
    yield from run_steps(cluster, pod, *STEPS)
    cluster.finish()


def test_an_export_becomes_a_version_that_serves(cluster: StandIn) -> None:
    cluster.play = whole(cluster)
    done = cluster.submit()
    [job] = cluster.kept["jobs"]
    assert done.stdout == f"uploading 1.0 MB\nstarted {job}\n{SHOWN}"
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_job_started_before_is_shown_from_its_beginning(learning: StandIn) -> None:
    play = whole(learning)
    for _ in range(30):
        next(play, None)
    done = learning.follow(play)
    assert (done.exit_code, done.stdout) == (0, SHOWN)


def test_a_lost_connection_costs_no_line_and_doubles_none(learning: StandIn) -> None:
    def losing() -> Iterator[None]:
        for number, _ in enumerate(whole(learning)):
            learning.drop = number % 2 == 0
            learning.away = 3 if number % 3 == 0 else 0
            yield

    lines = learning.follow(losing()).stdout.splitlines()
    shown = [line for line in lines if not line.startswith("waiting: ")]
    assert shown == SHOWN.splitlines()
    assert shown != lines


def test_a_connection_lost_after_a_slow_start_is_waited_for_as_long(learning: StandIn) -> None:
    def slow() -> Iterator[None]:
        pod = learning.start_pod()
        learning.put(pod, "extract", state("PodInitializing"))
        yield from [None] * 60
        learning.away = 11
        yield from [None] * 30
        yield from run_steps(learning, pod, *STEPS)
        learning.finish()

    done = learning.follow(slow())
    assert (done.exit_code, done.stdout.splitlines()[1:]) == (0, SHOWN.splitlines())


@pytest.mark.parametrize("gone", [False, True])
def test_another_pod_goes_on(learning: StandIn, gone: bool) -> None:
    def replaced() -> Iterator[None]:
        first = learning.start_pod()
        yield from run_steps(learning, first, "extract")
        learning.put(first, "train", state())
        learning.log(first, "train", {"event": "told to end", "level": "info"})
        yield
        learning.put(first, "train", state("Error", code=75))
        yield
        second = learning.start_pod()
        if gone:
            del learning.kept["pods"][first["metadata"]["name"]]
        yield from run_steps(learning, second, *STEPS)
        learning.finish()

    done = learning.follow(replaced())
    before = "extract:\n  data set built\ntrain:\n  told to end\n"
    assert (done.exit_code, done.stdout) == (0, f"{before}another pod goes on: {JOB}-1\n{SHOWN}")


def fail(cluster: StandIn, code: int, reason: str, message: str) -> Iterator[None]:
    """Let the job fail in its second pod, after the first was told to end."""
    for failed in (state("Error", "told to end", 75), state(reason, message, code)):
        pod = cluster.start_pod()
        yield from run_steps(cluster, pod, "extract")
        cluster.put(pod, "train", failed)
    cluster.finish("Failed", "PodFailurePolicy", "Container train failed")


def test_a_step_that_refuses_its_input_says_why(learning: StandIn) -> None:
    done = learning.follow(fail(learning, 2, "Error", "error: /data/dataset: is empty\n"))
    line = f"error: {JOB}: train failed (exit code 2, Error): error: /data/dataset: is empty\n"
    assert (done.exit_code, done.stderr) == (1, line)


def test_a_failed_step_is_shown_with_its_last_line(learning: StandIn) -> None:
    last = [f'{{"event": "training", "step": {number}}}' for number in range(9)]
    done = learning.follow(fail(learning, 137, "OOMKilled", "\n".join(last)))
    line = f"error: {JOB}: train failed (exit code 137, OOMKilled): training step=8\n"
    assert (done.exit_code, done.stderr) == (1, line)


def test_a_job_that_fails_without_a_pod_is_shown(learning: StandIn) -> None:
    learning.finish("Failed", "BackoffLimitExceeded", "Job has reached the limit")
    done = learning.follow()
    line = f"error: {JOB}: failed (BackoffLimitExceeded: Job has reached the limit)\n"
    assert (done.exit_code, done.stderr) == (1, line)


@pytest.mark.parametrize("code", [75, 137, None])
def test_a_job_that_ran_into_its_deadline_says_how_to_go_on(
    learning: StandIn, code: int | None
) -> None:
    def late() -> Iterator[None]:
        pod = learning.start_pod()
        yield from run_steps(learning, pod, "extract")
        learning.put(pod, "train", state("Error", code=code) if code else state())
        learning.finish("Failed", "DeadlineExceeded", "Job was active longer than its deadline")

    done = learning.follow(late())
    line = f"error: {JOB}: stopped at its deadline, after 48 hours; what was trained is kept"
    assert (done.exit_code, done.stderr.splitlines()[-1].partition(": submit")[0]) == (1, line)


def test_a_step_whose_image_is_missing_is_given_up_after_a_while(learning: StandIn) -> None:
    def stuck() -> Iterator[None]:
        pod = learning.start_pod()
        yield from run_steps(learning, pod, "extract")
        learning.put(pod, "train", state("ImagePullBackOff", "Back-off pulling image"))

    done = learning.follow(stuck())
    reason = f"pod {JOB}-0 does not start (train: ImagePullBackOff: Back-off pulling image)"
    assert done.stdout == f"extract:\n  data set built\nwaiting: {reason}\n"
    assert refusal(done) == f"{reason}{LEFT}"


def test_a_cluster_that_stays_away_is_given_up_but_not_the_job(learning: StandIn) -> None:
    learning.away = 100
    assert refusal(learning.follow()) == f"Error from server ({UNAVAILABLE}{LEFT}"


def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(learning: StandIn) -> None:
    done = learning.follow(learning.interrupt())
    line = f"\nstopped; {JOB} goes on by itself; {HINT}\n"
    assert (done.exit_code, done.stderr) == (130, line)
    assert JOB in learning.kept["jobs"]


def test_a_job_that_does_not_exist_is_refused(cluster: StandIn) -> None:
    assert refusal(cluster.follow()) == f"job {JOB}: somebody has deleted it"
