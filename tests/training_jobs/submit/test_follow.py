"""From the job's start to its end, over pods and connections that do not last."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.training_jobs.submit.conftest import Command, hints
from tests.training_jobs.submit.standin import StandIn, codec, state
from training_jobs.fidelity.bootstrap import Estimate
from training_jobs.fidelity.results import Evaluation, figures

STEPS = ("extract", "train", "convert", "evaluate", "publish")
MEASURED = Evaluation.model_validate(
    {
        "contexts": 5,
        **dict.fromkeys(("tuned", "shuffled"), dict.fromkeys(("bits_per_character", "perplexity"),
        Estimate(1.23456, 1.0, 2.0))),
        "context_gain": Estimate(0.5, 0.4, 0.6),
    }
)  # fmt: skip
FIGURES = {name: value for name, value in figures(MEASURED).items() if value is not None}
LINES: dict[str, list[str | dict[str, Any]]] = {
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


def runs(cluster: StandIn, pod: Any, *steps: str) -> Iterator[None]:
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


def test_an_export_becomes_a_version_that_serves(
    command: Command, cluster: StandIn, export: Path
) -> None:
    cluster.play = whole(cluster)
    done = command("--export", export)
    [job] = cluster.kept["jobs"]
    assert done.stdout == f"1.0 MB uploaded\nstarted {job}\n{SHOWN}"
    assert (done.exit_code, done.stderr) == (0, "")


def test_the_job_is_the_cronjobs_as_kubectl_would_make_it(
    command: Command, cluster: StandIn, export: Path
) -> None:
    command("--export", export, "--no-follow")
    [(name, job)] = cluster.kept["jobs"].items()
    made = codec.sanitize_for_serialization(job)
    cronjob = codec.sanitize_for_serialization(cluster.kept["cronjobs"]["learn-avtobus"])
    assert name.startswith("learn-avtobus-20")
    assert made["spec"] == cronjob["spec"]["jobTemplate"]["spec"]
    assert made["metadata"] == {
        "name": name,
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        "labels": cronjob["spec"]["jobTemplate"]["metadata"]["labels"],
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": "learn-avtobus",
                "uid": "uid-of-learn-avtobus",
                "controller": True,
            }
        ],
    }


def test_a_job_that_was_started_before_is_shown_from_its_beginning(
    command: Command, cluster: StandIn, job: str
) -> None:
    cluster.play = whole(cluster)
    for _ in range(30):
        cluster.tick()
    done = command("--follow", job)
    assert (done.exit_code, done.stdout) == (0, SHOWN)


def test_a_connection_that_drops_costs_no_line_and_doubles_none(
    command: Command, cluster: StandIn, job: str
) -> None:
    def dropping() -> Iterator[None]:
        for number, _ in enumerate(whole(cluster)):
            cluster.drop = number % 2 == 0
            cluster.away = 3 if number % 3 == 0 else 0
            yield

    cluster.play = dropping()
    done = command("--follow", job)
    assert (done.exit_code, done.stdout) == (0, SHOWN)


def test_a_connection_that_drops_in_the_log_of_a_step_that_has_ended_costs_no_line(
    command: Command, cluster: StandIn, job: str
) -> None:
    cluster.play = whole(cluster)
    while cluster.kept["jobs"][job].status.conditions is None:
        cluster.tick()
    cluster.drop = True
    done = command("--follow", job)
    assert (done.exit_code, done.stdout) == (0, SHOWN)


def test_another_pod_goes_on_where_one_was_told_to_end(
    command: Command, cluster: StandIn, job: str
) -> None:
    def replaced() -> Iterator[None]:
        first = cluster.start_pod()
        yield from runs(cluster, first, "extract")
        cluster.put(first, "train", state())
        cluster.log(first, "train", {"event": "told to end", "level": "info"})
        yield
        cluster.put(first, "train", state(code=75, reason="Error"))
        first.status.phase = "Failed"
        yield
        yield from runs(cluster, cluster.start_pod(), *STEPS)
        cluster.finish()

    cluster.play = replaced()
    done = command("--follow", job)
    before = "extract:\n  data set built\ntrain:\n  told to end\n"
    assert done.stdout == f"{before}another pod goes on: {job}-1\n{SHOWN}"
    assert done.exit_code == 0


def test_another_pod_goes_on_where_one_is_gone(
    command: Command, cluster: StandIn, job: str
) -> None:
    def replaced() -> Iterator[None]:
        first = cluster.start_pod()
        yield from runs(cluster, first, "extract")
        second = cluster.start_pod()
        del cluster.kept["pods"][first.metadata.name]
        yield from runs(cluster, second, *STEPS)
        cluster.finish()

    cluster.play = replaced()
    done = command("--follow", job)
    assert done.stdout.endswith(SHOWN.partition("train:")[2])
    assert done.exit_code == 0


def fails(cluster: StandIn, code: int, reason: str, message: str | None) -> Iterator[None]:
    """In the second pod."""
    before = cluster.start_pod()
    cluster.put(before, "extract", state("Error", "told to end", 75))
    before.status.phase = "Failed"
    pod = cluster.start_pod()
    yield from runs(cluster, pod, "extract")
    cluster.put(pod, "train", state(reason, message, code))
    pod.status.phase = "Failed"
    yield
    cluster.finish("Failed", "PodFailurePolicy", "Container train failed")


def test_a_step_that_refuses_says_why_itself(command: Command, cluster: StandIn, job: str) -> None:
    cluster.play = fails(cluster, 2, "Error", "/data/avtobus/dataset: there is nothing in it\n")
    done = command("--follow", job)
    assert done.stderr == (f"error: {job}: train: /data/avtobus/dataset: there is nothing in it\n")
    assert done.exit_code == 2


def test_a_step_that_fails_is_told_with_its_last_lines(
    command: Command, cluster: StandIn, job: str
) -> None:
    last = [f'{{"event": "training", "step": {number}}}' for number in range(9)]
    cluster.play = fails(cluster, 137, "OOMKilled", "\n".join(last))
    done = command("--follow", job)
    assert done.stderr.splitlines() == [
        *(f"training step={number}" for number in range(4, 9)),
        f"error: {job}: train failed (exit code 137, OOMKilled)",
    ]
    assert done.exit_code == 1


def test_a_job_that_fails_without_a_pod_is_told(
    command: Command, cluster: StandIn, job: str
) -> None:
    cluster.finish("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    done = command("--follow", job)
    assert done.stderr == (
        f"error: {job}: failed (DeadlineExceeded: Job was active longer than specified deadline)\n"
    )
    assert done.exit_code == 1


def test_a_step_whose_image_is_missing_is_given_up_after_a_while(
    command: Command, cluster: StandIn, job: str
) -> None:
    def stuck() -> Iterator[None]:
        pod = cluster.start_pod()
        yield from runs(cluster, pod, "extract")
        cluster.put(pod, "train", state("ImagePullBackOff", "Back-off pulling image"))

    cluster.play = stuck()
    done = command("--follow", job)
    reason = "train: ImagePullBackOff: Back-off pulling image"
    assert done.stdout == f"extract:\n  data set built\nwaiting: {reason}\n"
    assert done.stderr == (
        f"error: pod {job}-0 does not start ({reason});"
        f" {job} is left to itself; follow it: {hints(job)}\n"
    )
    assert done.exit_code == 2


def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(
    command: Command, cluster: StandIn, job: str
) -> None:
    def interrupted() -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    cluster.play = interrupted()
    done = command("--follow", job)
    assert done.stderr == f"\nstopped; {job} goes on by itself; follow it: {hints(job)}\n"
    assert done.exit_code == 130
    assert job in cluster.kept["jobs"]


def test_a_cluster_that_stays_away_is_given_up_but_not_the_job(
    command: Command, cluster: StandIn, job: str
) -> None:
    cluster.away = 100
    done = command("--follow", job)
    assert ": the server is currently unable to handle the request" in done.stderr
    assert done.stderr.endswith(f"; {job} is left to itself; follow it: {hints(job)}\n")
    assert done.exit_code == 2


def test_a_job_that_is_not_there_is_told(command: Command, cluster: StandIn) -> None:
    done = command("--follow", "learn-avtobus-7")
    assert done.stderr == "error: job learn-avtobus-7: somebody has deleted it\n"
    assert done.exit_code == 2
