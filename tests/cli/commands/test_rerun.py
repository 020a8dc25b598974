"""`kfp-finetune rerun` here: what is the same, and what is named."""

from __future__ import annotations

from kfp_finetune.cli.pipeline.changes import earlier_runs
from kfp_finetune.components.artifacts.verdict import RareScores, Tried, Verdict, read_tried
from kfp_finetune.pipelines.catalog import PIPELINES
from kfp_finetune.pipelines.parameters import EARLIER_RUNS
from tests.toy.command import Cli


def test_a_run_again_with_something_changed(cli: Cli) -> None:
    assert cli.run("--name", "one", "--learning-rate", "1e-3")[0] == 0
    code, out, err = cli("rerun", "one", "--learning-rate", "1e-4", "--name", "two")
    assert (code, err) == (0, "")
    (said,) = [line for line in out.splitlines() if line.startswith("from the cache")]
    kept = {name for name, cached in cli.cached("two").items() if cached}
    assert kept == set(said.partition(": ")[2].split(", "))
    assert 0 < len(kept) < len(cli.cached("two"))
    before, after = (cli.record(name)["parameters"] for name in ("one", "two"))
    assert {name for name in before if before[name] != after[name]} == {"learning_rate"}
    assert cli.record("two")["rerun_of"] == {"name": "one", "verdict": None}


def test_a_rerun_knows_the_verdicts_on_the_runs_that_it_repeats() -> None:
    pipeline = PIPELINES["finetune"]
    first = Tried(kind="diverged", learning_rate=10, num_train_steps=9, options={"max_steps": 5})
    verdict = Verdict(
        kind="undertrained",
        finding="Undertrained.",
        options={"learning_rate": 2e-4},
        learning_rate=1e-6,
        num_train_steps=30,
        weighting={"class_weights": "balanced"},
        rare_labels=[RareScores(id=3, recall=0.25, f1=0.4)],
        tried=[first],
    )
    given = earlier_runs(verdict, {"learning_rate": 2e-4, "seed": 1}, pipeline)[EARLIER_RUNS]
    assert read_tried(given) == verdict.as_tried()
    assert [run.kind for run in read_tried(given)] == ["diverged", "undertrained"]
    assert "{{" not in given  # Kubeflow would replace it
    assert earlier_runs(verdict, {"dataset": "other.csv"}, pipeline) == {}


def test_what_only_a_cluster_knows_is_refused(cli: Cli) -> None:
    cli.run("--name", "one")
    code, _, err = cli("rerun", "one", "--cron", "0 6 * * 1", "--wait")
    assert (code, err.splitlines()[0]) == (2, "error: --wait, --cron is given without --host")
    code, _, err = cli("rerun", "gone")
    assert (code, err.splitlines()[0]) == (2, "error: there is no run 'gone'")
