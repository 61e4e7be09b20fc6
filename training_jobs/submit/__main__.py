"""`python -m training_jobs.submit`: an export in, a version that serves out, on a server's cluster.

`submit` lists the steps. It runs on the owner's machine, with the rights of a kubeconfig.
Exit codes: 0 done, 1 the job failed, 2 refused (one line on standard error says why), 130 Ctrl-C.
"""

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from kubernetes.client import ApiClient, ApiException, Configuration, V1Job, V1ObjectMeta
from kubernetes.client import V1OwnerReference as Owner
from kubernetes.config import ConfigException, load_kube_config
from urllib3.exceptions import HTTPError

from contracts.refusal import Refusal, end_process
from training_jobs.submit.follow import Cluster, JobFailed, NotStarting, Object, Patience, follow
from training_jobs.submit.upload import check, upload

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

NAMESPACE = "persona-bots"
BOT, NAME = "persona-bots/bot", "app.kubernetes.io/name"
STEPS = "learn, extract, train, publish"
K3S = Path("/etc/rancher/k3s/k3s.yaml")
TIMEOUT = (10, 60)
"""Seconds to connect, and between two pieces of an answer."""
INTERRUPTED = 130


@dataclass(frozen=True)
class Place:
    """Which bot of which cluster, as the command line names them."""

    bot: str
    namespace: str
    context: str | None
    kubeconfig: str = ""
    host: str = ""

    def kubectl(self) -> str:
        return f"kubectl{f' --context {self.context}' if self.context else ''} -n {self.namespace}"

    def following(self, job: str) -> str:
        options = "" if self.namespace == NAMESPACE else f" --namespace {self.namespace}"
        options += f" --context {self.context}" if self.context else ""
        return f"python -m training_jobs.submit --bot {self.bot}{options} --follow {job}"


def say(text: str) -> None:
    typer.echo(text)


def submit(cluster: Cluster, place: Place, export: Path) -> str:
    """Look, upload, start; the name of the job that then runs."""
    check(export)
    cronjob = find(cluster, place.bot)
    refuse_busy(cluster, place)
    upload(cluster, cronjob, place.bot, export, say)
    return start(cluster, cronjob, place.bot)


def find(cluster: Cluster, bot: str) -> Object:
    """What a bot learns by; raises Refusal with the bots that there are."""
    try:
        return cluster.batch.read_namespaced_cron_job(f"learn-{bot}", cluster.namespace)
    except ApiException as error:
        if error.status != 404:
            raise
    found = cluster.batch.list_namespaced_cron_job(
        cluster.namespace, label_selector=f"{NAME}=learn"
    ).items
    bots = ", ".join(sorted(each.metadata.labels[BOT] for each in found))
    there = f"there are: {bots}" if bots else "nor any other; kubectl apply -k k8s/overlays/vds"
    raise Refusal(f"no bot {bot} in the namespace {cluster.namespace}; {there}")


def refuse_busy(cluster: Cluster, place: Place) -> None:
    """Raises Refusal while a job works on the bot's data."""
    jobs = cluster.batch.list_namespaced_job(
        cluster.namespace, label_selector=f"{BOT}={place.bot},{NAME} in ({STEPS})"
    ).items
    for job in jobs:
        ends = {each.type for each in job.status.conditions or () if each.status == "True"}
        if not ends & {"Complete", "Failed"}:
            name = job.metadata.name
            raise Refusal(
                f"{name} is still at work; follow it: {place.following(name)};"
                f" or end it: {place.kubectl()} delete job {name}"
            )


def start(cluster: Cluster, cronjob: Object, bot: str) -> str:
    """As `kubectl create job --from` does."""
    template, owner = cronjob.spec.job_template, cronjob.metadata
    by = Owner(
        api_version="batch/v1", kind="CronJob", name=owner.name, uid=owner.uid, controller=True
    )
    metadata = V1ObjectMeta(
        name=f"learn-{bot}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        annotations={
            **(template.metadata.annotations or {}),
            "cronjob.kubernetes.io/instantiate": "manual",
        },
        labels=template.metadata.labels,
        owner_references=[by],
    )
    job = V1Job(api_version="batch/v1", kind="Job", metadata=metadata, spec=template.spec)
    return str(cluster.batch.create_namespaced_job(cluster.namespace, job).metadata.name)


class Client(ApiClient):  # type: ignore[misc]
    """Waits for no answer for ever."""

    def request(self, method: str, url: str, **options: object) -> object:
        return super().request(method, url, **{**options, "_request_timeout": TIMEOUT})


def connect(context: str | None) -> tuple[Client, str]:
    """A client, and the kubeconfig that it comes from; raises Refusal."""
    given, usual = os.environ.get("KUBECONFIG"), Path("~/.kube/config").expanduser()
    source = given or str(K3S if not usual.exists() and os.access(K3S, os.R_OK) else usual)
    if not any(Path(each).expanduser().is_file() for each in source.split(os.pathsep) if each):
        raise Refusal(
            f"{source}: no such kubeconfig; set KUBECONFIG, or on the server itself:"
            f" mkdir -p ~/.kube && sudo cat {K3S} > ~/.kube/config"
        )
    configuration = Configuration()
    configuration.retries = False  # each with a warning on the terminal
    try:
        load_kube_config(source, context, configuration, persist_config=False)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise Refusal(f"{source}: {' '.join(str(error).split())}") from None
    return Client(configuration), source


def why(error: Exception, place: Place) -> str:
    """In one line what went wrong between us and the cluster, and what to do."""
    if isinstance(error, HTTPError):
        return (
            f"{place.host} does not answer ({str(error.args[-1]).rpartition(': ')[2]});"
            f" is the cluster up, and is {place.kubeconfig} its kubeconfig?"
        )
    if not isinstance(error, ApiException):
        return str(error)
    if error.status == 401:
        return f"{place.host} does not know the user of {place.kubeconfig}; renew its credentials"
    message = _message(error)
    if error.status == 403 and (
        told := re.search(r'User "(.+?)" cannot (\w+) resource "(.+?)"', message)
    ):
        user, verb, resource = told.groups()
        return (
            f"{user} may not {verb} {resource} in {place.namespace};"
            " bind it to the Role submit (k8s/base/submit.yaml)"
        )
    return f"{place.host}: {message}"


def _message(error: Object) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return " ".join(str(error.reason).split())


def report(bot: str, events: dict[str, dict[str, object]]) -> None:
    """The evaluation's figures and the version, of what the steps logged."""
    for name, value in events.get("evaluated", {}).items():
        if isinstance(value, float):
            say(f"{name}: {value:.4g}")
    version = events.get("published", {}).get("version")
    say(f"{bot}: version {version} serves" if version else f"{bot}: done")


@app.command()
def main(
    given: typer.Context,
    bot: Annotated[str, typer.Option(help="The bot's name, e.g. avtobus.")],
    export: Annotated[
        Path | None, typer.Option(help="A Telegram Desktop export, result.json.")
    ] = None,
    follow_job: Annotated[
        str | None, typer.Option("--follow", help="Instead: a job that was started before.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--no-follow", help="End when the job is started.")
    ] = False,
    namespace: Annotated[str, typer.Option(help="Where the bots are.")] = NAMESPACE,
    context: Annotated[
        str | None, typer.Option(help="Of the kubeconfig, if not the current one.")
    ] = None,
) -> None:
    """Let a bot on a cluster learn from an export, and watch it until the new version serves."""
    job, place = follow_job, Place(bot, namespace, context)
    try:
        if (export is None) == (job is None):
            raise Refusal("give either --export FILE or --follow JOB")
        client, kubeconfig = connect(context)
        place = Place(bot, namespace, context, kubeconfig, client.configuration.host)
        with client:
            cluster = Cluster(client, namespace, given.obj or Patience())
            if export is not None:
                job = submit(cluster, place, export)
                say(f"started {job}")
            if detach:
                say(f"follow it: {place.following(str(job))}")
            else:
                report(bot, follow(cluster, str(job), say))
    except KeyboardInterrupt:
        left = f"{job} goes on by itself; follow it: {place.following(job)}" if job else ""
        typer.echo(f"\nstopped; {left or 'nothing was started'}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except JobFailed as failed:
        typer.echo("\n".join((*failed.lines, f"error: {failed}")), err=True)
        raise typer.Exit(1) from None
    except (NotStarting, ApiException, HTTPError) as error:
        left = f"; {job} is left to itself; follow it: {place.following(job)}" if job else ""
        end_process(Refusal(f"{why(error, place)}{left}"))
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app()
