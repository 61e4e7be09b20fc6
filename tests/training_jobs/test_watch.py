"""What an onlooker hears of a run that lasts."""

from telemetry.job import JobReport
from training_jobs.loop import Curve
from training_jobs.watch import LINE_SECONDS, Watch


class Heard(JobReport):
    """A report that keeps what was to be pushed, by metric name."""

    def __init__(self) -> None:
        super().__init__("training", "avtobus")
        self.pushes: list[dict[str, float]] = []

    def push(self) -> None:
        families = self.registry.collect()
        self.pushes.append({s.name: s.value for family in families for s in family.samples})


def test_a_run_under_way_is_pushed_every_half_minute() -> None:
    now = [0.0]
    heard = Heard()
    watch = Watch(heard, steps_an_epoch=4, clock=lambda: now[0])
    curve = Curve(losses=[4.0], tokens=512, seconds=2.0)
    with watch.running(8):
        watch.seen(curve)
        assert heard.pushes == []
        now[0] = LINE_SECONDS
        curve.losses.append(2.0)
        curve.heldout.append((2, 3.5))
        watch.seen(curve)
        watch.seen(curve)
    [pushed] = heard.pushes
    assert pushed.pop("persona_training_peak_memory_bytes") > 1e6
    assert pushed == {
        "persona_training_loss": 3.0,
        "persona_training_tokens_per_second": 256.0,
        "persona_training_epoch": 0.5,
        "persona_training_heldout_loss": 3.5,
    }
