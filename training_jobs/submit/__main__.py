"""`python -m training_jobs.submit`: let a bot on a cluster learn from an export.

`submit` lists the steps. The command runs on the owner's machine, and does all by kubectl; the
export is sent into a pod that exists only for the upload.
Exit codes: 0 done, 1 the job failed, 2 refused (one line on standard error says why), 130 Ctrl-C.
"""

import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Annotated

import typer
from rich.filesize import decimal

from contracts.clock import Clock
from contracts.files import file_sha256
from contracts.refusal import Refusal, end_process
from telemetry.command_line import CommandLine
from training_jobs.submit.cluster import (
    NAMESPACE,
    Cluster,
    JobFailed,
    NotReady,
    Resource,
    command,
    ends,
    follow,
    what_is_wrong,
)

app = CommandLine()
BOT, NAME = "persona-bots/bot", "app.kubernetes.io/name"
MOUNTS = ("/data", "/tmp")  # noqa: S108 (the container's)
LIFETIME_SECONDS = 4 * 3600
"""How long an upload's pod lives at most, should deleting it fail."""
EXPORT = re.compile(rb"\{|<|PK\x03\x04|(?:\xef\xbb\xbf|\xe2\x80[\x8e\x8f])*(?:\{|\[?\d)")
"""How JSON, HTML, an archive and WhatsApp's text begin, with or without marks before it."""
RECEIVE = Path(__file__).with_name("receive.sh")


def submit(cluster: Cluster, bot: str, export: Path | None) -> str:
    """Check and upload the export, if any, start the job, and return the job's name."""
    if export is not None:
        check(export)
    cronjob = find(cluster, bot)
    refuse_busy(cluster, bot)
    if export is not None:
        upload(cluster, cronjob, bot, export)
    return start(cluster, bot)


def check(export: Path) -> None:
    """Raise Refusal if the file cannot be an export, whose format extraction tells by content."""
    if export.is_dir():
        raise Refusal(f"--export {export}: is a folder; give its result.json, or pack it as zip")
    try:
        with export.open("rb") as file:
            beginning = file.read(1024).lstrip()
    except OSError as error:
        raise Refusal(f"--export {export}: cannot be read ({error.strerror})") from None
    if not EXPORT.match(beginning):
        raise Refusal(f"--export {export}: is no export of a chat (docs/export.md)")


def find(cluster: Cluster, bot: str) -> Resource:
    """Return the bot's CronJob `learn`; raises Refusal with the names of the bots that exist."""
    if found := cluster.get("cronjob", f"learn-{bot}"):
        return found
    jobs = cluster.list("cronjobs", f"{NAME}=learn")
    bots = ", ".join(sorted(each["metadata"]["labels"][BOT] for each in jobs))
    there = f"there are: {bots}" if bots else "nor any other; kubectl apply -k k8s/overlays/vds"
    raise Refusal(f"no bot {bot} in the namespace {NAMESPACE}; {there}")


def refuse_busy(cluster: Cluster, bot: str) -> None:
    """Raise Refusal while a job works on the bot's data."""
    for job in cluster.list("jobs", f"{BOT}={bot},{NAME} in (learn, extract, train, publish)"):
        if not ends(job):
            name = job["metadata"]["name"]
            end = " ".join(command("delete", "job", name))
            raise Refusal(f"{name} is at work; follow it with --follow {name}, or end it: {end}")


def upload(cluster: Cluster, cronjob: Resource, bot: str, export: Path) -> None:
    """Send the export; it replaces the previous one only when all of it has arrived."""
    pod = upload_pod(cronjob, bot)
    name = pod["metadata"]["name"]
    try:
        cluster.kubectl("create", "-f", "-", given=pod)
        cluster.wait_until_running(name)
        send(name, f"/data/{bot}/exports/result.json", export)
    finally:
        try:
            cluster.kubectl("delete", "pod", name, "--wait=false")
        except Refusal:
            hours = LIFETIME_SECONDS // 3600
            typer.echo(f"pod {name} could not be deleted; it ends by itself within {hours} hours")


def upload_pod(cronjob: Resource, bot: str) -> Resource:
    """Return the job's pod with a single container, which sleeps.

    It is derived from the bot's own job, so that only the manifests say what runs on the cluster.
    """
    template = cronjob["spec"]["jobTemplate"]["spec"]["template"]
    spec = dict(template["spec"])
    [step] = [each for each in spec.pop("initContainers") if each["name"] == "extract"]
    step = {key: value for key, value in step.items() if key not in ("env", "envFrom")}
    step |= {"name": "upload", "command": ["sleep"], "args": [str(LIFETIME_SECONDS)]}
    step["volumeMounts"] = [each for each in step["volumeMounts"] if each["mountPath"] in MOUNTS]
    mounted = {each["name"] for each in step["volumeMounts"]}
    spec |= {
        "containers": [step],
        "volumes": [each for each in spec["volumes"] if each["name"] in mounted],
        "activeDeadlineSeconds": LIFETIME_SECONDS,
        "terminationGracePeriodSeconds": 1,  # sleep ignores SIGTERM
    }
    labels = {**template["metadata"]["labels"], NAME: "upload"}
    metadata = {"name": f"upload-{bot}-{secrets.token_hex(3)}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def send(pod: str, target: str, export: Path) -> None:
    """Run receive.sh in the pod; raises Refusal with the error of the script or of kubectl."""
    size, sha256 = export.stat().st_size, file_sha256(export)
    typer.echo(f"uploading {decimal(size)}")
    script = ["sh", "-c", RECEIVE.read_text(), "sh", target, str(size), sha256]
    receiving = command("exec", "-i", pod, "-c", "upload", "--", *script)
    with (
        export.open("rb") as file,
        Popen(receiving, stdin=file, stdout=PIPE, stderr=PIPE, text=True) as kubectl,
    ):
        try:
            output, errors = kubectl.communicate()
        finally:
            kubectl.kill()  # does nothing after kubectl has ended
            kubectl.wait()
    # the exit code is not enough: it is 0 also when the pod has vanished
    if output.strip() != sha256:
        reason = what_is_wrong(errors) or "the connection to it was lost; try again"
        raise Refusal(f"pod {pod}: {reason}")


def start(cluster: Cluster, bot: str) -> str:
    """Create a job and return its name."""
    name = f"learn-{bot}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    cluster.kubectl("create", "job", name, f"--from=cronjob/learn-{bot}")
    return name


@app.command()
def main(
    settings: typer.Context,
    bot: Annotated[str, typer.Option(help="The bot's name, e.g. avtobus.")],
    export: Annotated[Path | None, typer.Option(help="An export: a file, or a zip.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Instead: the one that is stored.")
    ] = False,
    job: Annotated[str | None, typer.Option("--follow", help="Instead: a started job.")] = None,
    detach: Annotated[bool, typer.Option("--no-follow", help="Do not wait for the job.")] = False,
) -> None:
    """Let a bot on a cluster learn from an export, and watch it until the new version serves."""
    how = f"follow it: python -m training_jobs.submit --bot {bot} --follow"
    try:
        if sum((export is not None, again, job is not None)) != 1:
            raise Refusal("give one of --export FILE, --again and --follow JOB")
        if shutil.which("kubectl") is None:
            raise Refusal("kubectl is not installed (docs/deploy.md)")
        cluster = Cluster(settings.obj or Clock())
        if job is None:
            job = submit(cluster, bot, export)
            typer.echo(f"started {job}")
        if detach:
            typer.echo(f"{how} {job}")
        else:
            follow(cluster, bot, str(job))
    except KeyboardInterrupt:
        left = f"{job} goes on by itself; {how} {job}" if job else "nothing was started"
        typer.echo(f"\nstopped; {left}", err=True)
        raise typer.Exit(130) from None
    except JobFailed as failed:
        end_process(str(failed), 1)
    except Refusal as refusal:
        is_left = job and isinstance(refusal, NotReady)
        left = f"; {job} is left to itself; {how} {job}" if is_left else ""
        end_process(Refusal(f"{refusal}{left}"))


if __name__ == "__main__":
    app()
