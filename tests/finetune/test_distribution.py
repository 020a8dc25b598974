"""Several devices or workers make the updates that one makes, up to rounding."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load

from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.model import read
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import distribution
from kfp_finetune.components.finetune.inputs import Rows, training_dataset
from kfp_finetune.components.load_data.steps import count_steps
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.tasks.text_classification.problem_types import SINGLE_LABEL
from tests import tiny
from tests.finetune import worker as worker_process
from tests.finetune.runs import CURVES, Run


@pytest.fixture(scope="session")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without dropout, whose numbers devices draw each for themselves."""
    return tiny.write_model(
        tmp_path_factory.mktemp("plain") / "model",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,  # so that there are differences to see
    )


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> tf.distribute.Strategy:
    """Has every run train on two devices."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    monkeypatch.setattr(distribution, "strategy", lambda: strategy)
    return strategy


# What is compared below is equal up to this, and not to that of a processor's bfloat16 units.
ROUNDING_OF_FLOAT32 = {"precision": "float32"}


def assert_equal_up_to_rounding(one: Run, two: Run, weights_too: bool = True) -> None:
    ours, theirs = (run.results() for run in (one, two))
    for tag in CURVES:
        expected, found = (dict(result["curves"][tag]) for result in (ours, theirs))
        assert list(found) == list(expected)
        if tag == "train/learning_rate":
            assert found == expected
        np.testing.assert_allclose(
            list(found.values()), list(expected.values()), rtol=1e-4, atol=1e-5, err_msg=tag
        )
    assert ours["manifest"]["num_train_steps"] == theirs["manifest"]["updates_done"]
    if weights_too:
        expected, found = (load(result["weights"]) for result in (ours, theirs))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_each_row_of_a_batch_goes_to_one_device_and_all_get_equal_shapes(
    tiny_data: Path, two_devices: tf.distribute.Strategy, batch_size: int, accumulation: int
) -> None:
    """Equal widths, too: so each device draws as many random numbers for its dropout."""
    rows = Rows(tokenized_dataset.open_split(tiny_data, "train"), tokenized_dataset.read(tiny_data))
    plan = count_steps(len(rows.lengths), batch_size, 1, None, accumulation)
    with two_devices.scope():
        distributed = training_dataset(rows, plan, seed=5)
    updates = 0
    for one, shared in zip(training_dataset(rows, plan, seed=5), distributed, strict=True):
        shares = {
            name: two_devices.experimental_local_results(shared[name])
            for name in ("rows", "weights")
        }
        for i, weights in enumerate(one["weights"]):
            kept = [r[i][w[i] > 0] for r, w in zip(shares["rows"], shares["weights"], strict=True)]
            assert sorted(np.concatenate(kept)) == sorted(one["rows"][i][weights > 0].numpy())
        first, second = two_devices.experimental_local_results(shared["features"]["input_ids"])
        assert first.shape == second.shape
        assert first.shape[1] == -(-one["weights"].shape[1] // 2)
        updates += 1
    assert updates == plan.num_train_steps


@pytest.mark.parametrize(
    "settings",
    [
        {"plan": {"batch_size": 7, "num_train_epochs": 1.0}, "adam_epsilon": 1e-3},
        {
            "plan": {"num_train_epochs": 1.5, "gradient_accumulation_steps": 3},
            # Not one that decays weights: it trains the embeddings of all tokens, and TensorFlow
            # takes other shapes in the same process for a mismatch between replicas.
            "optimizer": "sgd",
            "momentum": 0.9,
            "max_grad_norm": 0.05,
        },
        {"plan": {"batch_size": 1, "max_steps": 5}, "optimizer": "lion", "max_grad_norm": 1.0},
    ],
    ids=["an odd last batch", "accumulation", "a batch smaller than the devices"],
)
def test_two_devices_make_the_updates_of_one(
    tiny_data: Path,
    plain_model: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    settings = {**settings, **ROUNDING_OF_FLOAT32}
    one, two = (Run(tmp_path / name, tiny_data, plain_model, **settings) for name in ("one", "two"))
    assert one(checkpoint_dir=None).environment.items() >= {"replicas": 1, "workers": 1}.items()
    request.getfixturevalue("two_devices")
    assert two(checkpoint_dir=None).environment.items() >= {"replicas": 2, "workers": 1}.items()
    # Of a gradient of about 0, Lion takes the sign, which rounding decides.
    assert_equal_up_to_rounding(one, two, weights_too=settings.get("optimizer") != "lion")


@pytest.mark.slow
def test_on_two_devices_a_killed_run_resumes_to_the_last_bit(
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
    two_devices: tf.distribute.Strategy,
) -> None:
    """With dropout, the best weights, and a number of rows that two do not divide."""
    settings: dict[str, Any] = {
        "plan": {"batch_size": 7, "max_steps": 20},
        "learning_rate": 0.5,
        "lr_scheduler_type": "constant",
        "load_best_model_at_end": True,
    }
    one, two = (Run(tmp_path / name, tiny_data, tiny_model, **settings) for name in "12")
    one(checkpoint_dir=None)
    two.killed_at(17, kill)
    assert two().resumed_at == [15]
    assert two.results() == one.results()


@pytest.mark.slow
def test_a_run_on_two_devices_can_go_on_with_one(
    tiny_data: Path,
    plain_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = {"plan": {"max_steps": 8}, "adam_epsilon": 1e-3}
    settings |= ROUNDING_OF_FLOAT32
    one, two = (Run(tmp_path / name, tiny_data, plain_model, **settings) for name in "12")
    one(checkpoint_dir=None)
    request.getfixturevalue("two_devices")
    two.killed_at(5, kill)
    monkeypatch.undo()
    manifest = two(resume_from_checkpoint="any")
    assert manifest.resumed_at == [3]
    assert manifest.differences == ["environment.replicas: 2, now 1"]
    assert_equal_up_to_rounding(one, two)


def test_each_device_drops_out_for_itself_and_draws_as_often(
    tiny_model: Path, two_devices: tf.distribute.Strategy
) -> None:
    """So the state of one device's generators, which is saved, is that of all."""
    with two_devices.scope():
        network = load_classifier(
            tiny_model,
            num_labels=3,
            label_names=list(tiny.LABELS),
            problem_type=SINGLE_LABEL,
            seed=7,
        )
    features = {
        "input_ids": tf.ones([8, 8], tf.int32),
        "attention_mask": tf.ones([8, 8], tf.int32),
    }
    first, second = two_devices.experimental_local_results(
        two_devices.run(tf.function(lambda: network(features, training=True)))
    )
    assert not np.array_equal(first, second)
    state = network.dropout_seeds.state.value
    one, other = two_devices.experimental_local_results(state)
    np.testing.assert_array_equal(one, other)
    assert one[1] == 1


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("{", "TF_CONFIG cannot be read: "),
        ("[]", "TF_CONFIG cannot be read: "),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps"}}',
            "TF_CONFIG has the jobs worker, ps, but this process has the job ps",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator"}}',
            "TF_CONFIG has the jobs worker, but this process has the job evaluator",
        ),
    ],
)
def test_a_cluster_that_cannot_train_is_refused(
    config: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError) as error:
        distribution.strategy.__wrapped__()
    assert str(error.value).startswith(found)
    assert "Chief and Worker" in str(error.value)


@pytest.mark.parametrize(
    "config", [None, "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}']
)
def test_one_worker_trains_as_if_there_were_no_cluster(
    config: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    strategy = distribution.strategy.__wrapped__()
    assert strategy is tf.distribute.get_strategy()
    assert distribution.environment(strategy) == {"replicas": 1, "workers": 1}


class Cluster:
    """A chief and a worker, each a process; what they print is in a file each."""

    def __init__(self, folder: Path, chief: dict[str, Any], worker: dict[str, Any]) -> None:
        folder.mkdir(exist_ok=True)
        sockets = [socket.socket() for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        cluster = {"chief": addresses[:1], "worker": addresses[1:]}
        self.folder = folder
        self.processes = {
            name: worker_process.start(
                folder / f"{name}.log",
                {"cluster": cluster, "task": {"type": name, "index": 0}},
                spec,
            )
            for name, spec in (("chief", chief), ("worker", worker))
        }

    def ends_with(self, **codes: int) -> dict[str, str]:
        """Wait for both; what each printed."""
        deadline = time.monotonic() + 180
        try:
            for process in self.processes.values():
                process.join(max(1.0, deadline - time.monotonic()))
        finally:
            for process in self.processes.values():
                process.kill()
        said = {name: (self.folder / f"{name}.log").read_text() for name in self.processes}
        found = {name: process.exitcode for name, process in self.processes.items()}
        assert found == codes, "\n".join(said[name][-3000:] for name in said)
        return said


@pytest.mark.slow
def test_two_workers_make_the_updates_of_one_and_the_chief_writes(
    tiny_data: Path, plain_model: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "plan": {"batch_size": 7, "max_steps": 10, "gradient_accumulation_steps": 2},
        "adam_epsilon": 1e-3,
        "max_grad_norm": 0.05,
        "saved": {"checkpoint_dir": None},
        **ROUNDING_OF_FLOAT32,
    }
    inputs = {"data": tiny_data, "model": plain_model}
    Cluster(
        tmp_path,
        {"folder": tmp_path / "two", **inputs, **settings},
        {"folder": tmp_path / "worker", **inputs, **settings},
    ).ends_with(chief=0, worker=0)
    assert {path.name for path in (tmp_path / "worker").iterdir()} == {"optimizer"}
    one, two = (Run(tmp_path / name, tiny_data, plain_model, **settings) for name in ("one", "two"))
    one()
    assert_equal_up_to_rounding(one, two)
    assert two.results()["manifest"]["environment"]["workers"] == 2


@pytest.mark.slow
def test_a_killed_chief_ends_training_which_can_be_resumed(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """With dropout, the best weights and early stopping, to the last bit."""

    def cluster(name: str, **of: dict[str, Any]) -> Cluster:
        shared = {
            "data": tiny_data,
            "model": tiny_model,
            "plan": {"batch_size": 7, "num_train_epochs": 6.0},
            "learning_rate": 0.5,
            "lr_scheduler_type": "constant",
            "early_stopping_patience": 1,
            "load_best_model_at_end": True,
            "saved": {
                "checkpoint_dir": str(tmp_path / name / "saved"),
                "checkpoint_every_steps": 3,
            },
        }
        folder = tmp_path / name
        return Cluster(
            folder,
            {"folder": folder / "run", **shared, **of.get("chief", {})},
            {"folder": folder / "other", **shared, **of.get("worker", {})},
        )

    cluster("whole").ends_with(chief=0, worker=0)
    said = cluster("killed", chief={"kill_at": 8}).ends_with(chief=-9, worker=1)
    assert "RuntimeError: another worker has ended or never started" in said["worker"]
    cluster("killed").ends_with(chief=0, worker=0)
    whole, resumed = (
        Run(tmp_path / name / "run", tiny_data, tiny_model) for name in ("whole", "killed")
    )
    manifest = read(resumed.folder / "model")
    assert manifest.resumed_at == [6]
    assert manifest.stopped_at is not None
    assert resumed.results() == whole.results()


@pytest.mark.slow
def test_workers_with_different_inputs_are_reported(
    tiny_data: Path, plain_model: Path, tmp_path: Path
) -> None:
    spec = {"data": tiny_data, "model": plain_model, "saved": {"checkpoint_dir": None}}
    said = Cluster(
        tmp_path,
        {"folder": tmp_path / "chief-run", **spec},
        {"folder": tmp_path / "worker-run", **spec, "learning_rate": 2e-3},
    ).ends_with(chief=1, worker=2)
    assert "this worker's data, model or parameters differ" in said["worker"]
    assert "another worker has ended" in said["chief"]
