"""`kfp-finetune rerun` here: what is the same, and what is named."""

from __future__ import annotations

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
    one, two = cli.record("one"), cli.record("two")
    assert two["rerun_of"] == {"name": "one", "verdict": one["verdict"]}
    assert [run["kind"] for run in two["verdict"]["tried"]] == [one["verdict"]["kind"]]


def test_what_only_a_cluster_knows_is_refused(cli: Cli) -> None:
    cli.run("--name", "one")
    code, _, err = cli("rerun", "one", "--cron", "0 6 * * 1", "--wait")
    assert (code, err.splitlines()[0]) == (2, "error: --wait, --cron is given without --host")
    code, _, err = cli("rerun", "gone")
    assert (code, err.splitlines()[0]) == (2, "error: there is no run 'gone'")
