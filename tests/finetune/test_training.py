"""Training as a whole, on a tiny model: what is planned, applied, logged and saved is one thing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import optimizer_config as optimizer_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.optimizers import (
    KerasSchedule,
    Sgd,
    build_optimizer,
)
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices, training
from kfp_finetune.components.finetune.callbacks import Clock, WriteLog
from kfp_finetune.components.finetune.history import History
from kfp_finetune.components.finetune.inputs import Rows, training_dataset
from kfp_finetune.components.finetune.parameters import Parameters
from kfp_finetune.components.finetune.run_facts import differences, facts_of
from kfp_finetune.components.finetune.trainer import LEARNING_RATE, Trainer
from kfp_finetune.components.finetune.training import finetune
from kfp_finetune.components.finetune.training_log import TrainingLog
from kfp_finetune.components.load_data import pretrained
from kfp_finetune.components.load_data.steps import StepPlan, count_steps
from kfp_finetune.components.models.dense import Dense
from kfp_finetune.components.models.dropout import Dropout
from kfp_finetune.components.models.embeddings import Embedding
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.models.norms import LayerNorm
from kfp_finetune.components.tasks.text_classification.losses import loss
from kfp_finetune.components.tasks.text_classification.problem_types import SINGLE_LABEL
from tests import checkpoints, tiny
from tests.finetune.runs import without_dropout

ROWS = 103


class Recording(Trainer):
    """A trainer that notes which rows it was fed."""

    fed: list[np.ndarray]

    def train_step(self, update: dict[str, Any]) -> dict[str, Any]:
        def note(rows: Any, weights: Any) -> None:
            self.fed.append(rows.numpy()[weights.numpy() > 0])

        tf.py_function(note, [update["rows"], update["weights"]], [])
        return super().train_step(update)


def network(folder: Path, **config: Any) -> Any:
    return load_classifier(
        folder,
        num_labels=3,
        label_names=["delivery", "payment", "returns"],
        problem_type="single_label_classification",
        seed=7,
    )


def rows_of(data: Path) -> Rows:
    return Rows(tokenized_dataset.open_split(data, "train"), tokenized_dataset.read(data))


def fit(trainer: Trainer, data: Path, plan: StepPlan, optimizer: Any, log_dir: Path) -> TrainingLog:
    trainer.compile(optimizer=optimizer, loss=loss(SINGLE_LABEL))
    history = History.of(plan.num_train_steps)
    log = TrainingLog(log_dir, history, {}, [], str, "")
    callbacks = [Clock(history), WriteLog(trainer, log, history)]
    training.fit(trainer, rows_of(data), plan, 1, history, callbacks)
    log.write(trainer.step_log)
    log.close()
    return log


def test_earlier_models_in_a_process_change_no_bit(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """TensorFlow's optimizer of graphs goes by the names of nodes, and sums in another order."""
    settings = {"batch_size": 7, "num_train_epochs": 3, "max_steps": 20}
    schedule = {"learning_rate": 0.5, "lr_scheduler_type": "constant"}
    before = run(tiny_data, tiny_model, tmp_path / "first", settings, **schedule)
    # Keras numbers the layers of a process; those of the next model go from two digits to three.
    for layer in (Dense, LayerNorm, Embedding, lambda *_: Dropout(0.5)):
        while not layer(1, 1).name.endswith("98"):
            pass
    after = run(tiny_data, tiny_model, tmp_path / "second", settings, **schedule)
    assert after.model_dump() == before.model_dump()
    first, second = (
        tmp_path / name / "model" / "model.safetensors" for name in ("first", "second")
    )
    assert first.read_bytes() == second.read_bytes()


def scalars(log_dir: Path, tag: str) -> dict[int, float]:
    events = EventAccumulator(str(log_dir), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    return {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)}


def run(
    data: Path,
    model: Path,
    out: Path,
    plan: dict[str, Any],
    finetune_parameters: dict[str, Any] | None = None,
    **optimizer: Any,
) -> model_artifact.ModelManifest:
    """build_optimizer and finetune, as the steps call them."""
    counted = count_steps(ROWS, **plan)
    optimizer_artifact.write(
        out / "optimizer", build_optimizer_config(counted.num_train_steps, **optimizer)
    )
    return finetune(
        Parameters(base_model=str(model), **plan, **finetune_parameters or {}),
        tokenized_dataset_path=str(data),
        optimizer_config_path=str(out / "optimizer"),
        model_path=str(out / "model"),
        tensorboard_logs_path=str(out / "logs"),
    )


@pytest.mark.parametrize(
    "plan",
    [
        {"batch_size": 8, "num_train_epochs": 2.0},
        {"batch_size": 8, "num_train_epochs": 2.0, "drop_remainder": True},
        {"batch_size": 8, "num_train_epochs": 1.5},
        {"batch_size": 8, "num_train_epochs": 2.0, "gradient_accumulation_steps": 4},
        {"batch_size": 200, "num_train_epochs": 3.0},
        {"batch_size": 103, "num_train_epochs": 1.0},
        {"batch_size": 8, "num_train_epochs": 3.0, "max_steps": 5},
        {
            "batch_size": 8,
            "num_train_epochs": 1.0,
            "max_steps": 14,
            "gradient_accumulation_steps": 3,
        },
    ],
    ids=str,
)
def test_the_updates_made_are_the_planned_ones(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, plan: dict[str, Any]
) -> None:
    counted = count_steps(ROWS, **plan)
    devices.configure(0)
    trainer = Recording(network(tiny_model), counted.num_train_steps)
    trainer.fed = []
    optimizer = build_optimizer(build_optimizer_config(counted.num_train_steps))
    fit(trainer, tiny_data, counted, optimizer, tmp_path)

    assert int(trainer.updates_done) == int(optimizer.iterations) == counted.num_train_steps
    assert len(trainer.fed) == counted.num_train_steps
    per_epoch = counted.steps_per_epoch
    whole_epochs = counted.num_train_steps // per_epoch
    for epoch in range(whole_epochs):
        fed = np.concatenate(trainer.fed[epoch * per_epoch : (epoch + 1) * per_epoch])
        expected = ROWS - ROWS % 8 if counted.drop_remainder else ROWS
        assert len(fed) == len(set(fed.tolist())) == expected
    rest = np.concatenate([np.zeros(0), *trainer.fed[whole_epochs * per_epoch :]])
    assert len(rest) == len(set(rest.tolist()))


def test_tensorboard_shows_the_schedule_at_every_step(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    plan = {"batch_size": 8, "num_train_epochs": 6.0}
    manifest = run(tiny_data, tiny_model, tmp_path, plan, warmup_ratio=0.1)
    assert manifest.updates_done == manifest.num_train_steps == 78

    rates = learning_rates(manifest.optimizer.schedule)
    keras = KerasSchedule(manifest.optimizer.schedule)
    logged = scalars(tmp_path / "logs", "train/learning_rate")
    assert sorted(logged) == list(range(78))
    for step in range(78):
        assert np.float32(logged[step]) == rates[step] == keras(step).numpy()

    log = list(model_artifact.read_training_log(tmp_path / "model"))
    updates = [r for r in log if "learning_rate" in r]
    assert [np.float32(r["learning_rate"]) for r in updates] == list(rates[:-1])
    assert scalars(tmp_path / "logs", "train/loss") == {r["step"]: r["loss"] for r in updates}
    evaluations = [r for r in log if "validation" in r]
    assert [r["step"] for r in evaluations] == [13, 26, 39, 52, 65, 78]
    assert evaluations[-1]["validation"] == manifest.validation_metrics
    accuracy = scalars(tmp_path / "logs", "validation/accuracy")
    assert accuracy == {r["step"]: r["validation"]["accuracy"] for r in evaluations}
    assert sorted(scalars(tmp_path / "logs", "validation/loss")) == sorted(accuracy)

    resamples = model_artifact.read_resamples(tmp_path / "model")
    assert resamples.keys() == manifest.validation_metrics.keys()
    for name, values in resamples.items():
        assert np.mean(values) == pytest.approx(manifest.validation_metrics[name], abs=0.05), name


def test_the_logged_rate_is_the_applied_one(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """With plain SGD, (weights before - after) ÷ gradient is the rate."""
    plan = count_steps(ROWS, 16, 2)
    devices.configure(0)
    schedule = Schedule(name="cosine", learning_rate=0.5, num_train_steps=plan.num_train_steps)
    changes: list[float] = []

    class Measuring(Trainer):
        def train_step(self, update: dict[str, Any]) -> dict[str, Any]:
            bias = self.trainable_variables[-1]
            before = tf.identity(bias)
            _, gradients = self._loss_and_gradients(
                update, 0, tf.reduce_sum(update["weights"]), [bias]
            )
            result = super().train_step(update)
            tf.py_function(
                lambda b, a, g: changes.append(
                    float(tf.reduce_max(tf.abs(b - a)) / tf.reduce_max(tf.abs(g)))
                ),
                [before, tf.identity(bias), gradients[0]],
                [],
            )
            return result

    net = network(tiny_model)
    without_dropout(net)  # the two gradients are of the same function
    trainer = Measuring(net, plan.num_train_steps)
    fit(trainer, tiny_data, plan, Sgd(KerasSchedule(schedule)), tmp_path)
    logged = trainer.step_log.numpy()[:, LEARNING_RATE]
    np.testing.assert_array_equal(logged, learning_rates(schedule)[:-1])
    np.testing.assert_allclose(changes, logged, rtol=2e-3)


def test_a_schedule_swapped_behind_the_callbacks_shows_in_the_log(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    plan = count_steps(ROWS, 16, 1)
    devices.configure(0)
    trainer = Trainer(network(tiny_model), plan.num_train_steps)
    optimizer = build_optimizer(build_optimizer_config(plan.num_train_steps))
    optimizer.learning_rate = KerasSchedule(
        Schedule(name="constant", learning_rate=0.125, num_train_steps=plan.num_train_steps)
    )
    log = fit(trainer, tiny_data, plan, optimizer, tmp_path)
    rates = {r["learning_rate"] for r in log.records if "learning_rate" in r}
    assert rates == {0.125}
    assert set(scalars(tmp_path, "train/learning_rate").values()) == {0.125}


def test_the_facts_of_a_run_are_equal_after_a_trip_through_json(
    tiny_data: Path, tiny_model: Path
) -> None:
    config = build_optimizer_config(
        30, lr_scheduler_type="piecewise_constant", lr_boundaries="0.5:1e-5,0.8:1e-6"
    )
    facts = facts_of(network(tiny_model), str(tiny_data), config, count_steps(ROWS, 8, 2), {}, {})
    assert differences(json.loads(json.dumps(facts)), facts) == {}


def test_training_minimizes_its_own_loss_and_evaluations_measure_the_plain_one(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    def trained(name: str, **parameters: Any) -> tuple[model_artifact.ModelManifest, float]:
        manifest = run(
            tiny_data,
            tiny_model,
            tmp_path / name,
            {"batch_size": ROWS, "num_train_epochs": 1.0},
            finetune_parameters={"initial_bias": "zeros"} | parameters,
            learning_rate=1e-30,  # the weights stay what they are
        )
        return manifest, scalars(tmp_path / name / "logs", "train/loss")[0]

    plain, plain_loss = trained("plain")
    others = {"label_smoothing_factor": 0.3}, {"class_weights": "balanced"}, {"focal_gamma": 2.0}
    for parameters in others:
        other, other_loss = trained(next(iter(parameters)), **parameters)
        assert plain.validation_metrics == other.validation_metrics
        assert other.model_dump().items() >= parameters.items()
        assert plain_loss != other_loss


def test_a_schedule_of_another_length_than_the_plan_is_refused(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    optimizer_artifact.write(tmp_path / "optimizer", build_optimizer_config(40))
    with pytest.raises(
        InputError, match="the schedule is 40 steps long, but the training is 103 examples"
    ):
        finetune(
            Parameters(base_model=str(tiny_model), batch_size=8, num_train_epochs=3),
            tokenized_dataset_path=str(tiny_data),
            optimizer_config_path=str(tmp_path / "optimizer"),
            model_path=str(tmp_path / "model"),
            tensorboard_logs_path=str(tmp_path / "logs"),
        )
    assert not (tmp_path / "model").exists()


def test_fewer_updates_than_planned_fail_the_step(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training_dataset
    monkeypatch.setattr(
        "kfp_finetune.components.finetune.training.training_dataset",
        lambda rows, plan, seed, start: real(rows, plan, seed, start).take(
            plan.num_train_steps - 1
        ),
    )
    with pytest.raises(RuntimeError, match="12 steps were made, but 13 were planned"):
        run(tiny_data, tiny_model, tmp_path, {"batch_size": 8, "num_train_epochs": 1.0})


@pytest.mark.parametrize("family", pretrained.FAMILIES)
def test_weights_are_decayed_but_neither_biases_nor_layer_norms(
    family: str, tmp_path: Path
) -> None:
    net = network(checkpoints.write_checkpoint(tmp_path, family, "base"))
    before = [v.numpy() for v in net.trainable_variables]
    for name in ("adamw", "lion"):
        for variable, old in zip(net.trainable_variables, before, strict=True):
            variable.assign(old)
        config = OptimizerConfig(
            name=name,
            weight_decay=0.5,
            schedule=Schedule(name="constant", learning_rate=0.1, num_train_steps=1),
        )
        optimizer = build_optimizer(config)
        optimizer.apply_gradients([(tf.zeros_like(v), v) for v in net.trainable_variables])
        decayed = 0
        for variable, old in zip(net.trainable_variables, before, strict=True):
            last = "/".join(variable.path.split("/")[-2:])
            spared = re.search(r"bias|gamma|beta|layer_?norm", last, re.IGNORECASE)
            expected = old if spared else old * (1 - 0.1 * 0.5)
            message = f"{name}: {variable.path}"
            np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6, err_msg=message)
            decayed += not spared
        assert decayed > 5


def test_a_loss_that_is_not_finite_ends_training_with_its_step(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    plan = {"batch_size": 8, "num_train_epochs": 6.0}
    with pytest.raises(InputError) as error:
        run(tiny_data, tiny_model, tmp_path, plan, learning_rate=1e30)
    assert re.match(
        r"training diverged: the (loss|gradient) of step \d+ is (nan|inf) \(learning rate \S+,"
        r" batch of [78] rows × \d+ tokens: rows (\d+, ){6,7}\d+\)\n",
        str(error.value),
    )
    assert re.search(r"remedy:   --learning-rate 0\.000\d+ .*--max-grad-norm 1", str(error.value))


@pytest.mark.parametrize("best", [{}, {"load_best_model_at_end": True}])
@pytest.mark.parametrize("starts_well", [True, False])
def test_a_divergence_that_is_reported_leaves_the_last_good_weights(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, starts_well: bool, best: dict[str, Any]
) -> None:
    """Also if the best ones are kept: a diverged model has an accuracy, too."""
    later = 15 if starts_well else 1
    schedule = Schedule(
        name="piecewise_constant",
        learning_rate=1e-3,
        num_train_steps=39,
        boundaries=((later, 1e30),),
    )
    optimizer_artifact.write(tmp_path / "optimizer", OptimizerConfig(schedule=schedule))
    manifest = finetune(
        Parameters(
            base_model=str(tiny_model),
            batch_size=8,
            on_divergence="report",
            metric_for_best_model="accuracy",
            **best,
        ),
        tokenized_dataset_path=str(tiny_data),
        optimizer_config_path=str(tmp_path / "optimizer"),
        model_path=str(tmp_path / "model"),
        tensorboard_logs_path=str(tmp_path / "logs"),
    )
    stopped = manifest.stopped_at
    assert stopped is not None and stopped.step == manifest.diverged_at
    assert stopped.reason.startswith("training diverged: the ")
    assert (stopped.step >= 15) is starts_well
    log = list(model_artifact.read_training_log(tmp_path / "model"))
    checks = [record["validation"] for record in log if "validation" in record]
    assert manifest.validation_metrics == (checks[-1] if starts_well else {})
    assert len(checks) == starts_well
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert all(np.isfinite(value).all() for value in weights.values())


def test_a_model_that_does_not_know_the_tokens_is_refused(tiny_data: Path, tmp_path: Path) -> None:
    small = tiny.write_model(tmp_path / "small", vocab_size=9)
    with pytest.raises(InputError, match=r"tokenizer has 15 tokens; .*small has only 9"):
        run(tiny_data, small, tmp_path, {"batch_size": 8, "num_train_epochs": 1.0})


def test_gradients_are_clipped_to_their_global_norm_after_it_is_logged(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    plan = count_steps(ROWS, 103, 1)
    devices.configure(0)
    trainer = Trainer(network(tiny_model), 1)
    before = [v.numpy() for v in trainer.network.trainable_variables]
    fit(trainer, tiny_data, plan, Sgd(1.0, global_clipnorm=0.001), tmp_path)
    change = [
        b - v.numpy() for b, v in zip(before, trainer.network.trainable_variables, strict=True)
    ]
    assert np.sqrt(sum((c**2).sum() for c in change)) == pytest.approx(0.001, rel=1e-3)
    assert scalars(tmp_path, "train/gradient_norm")[0] > 0.01


def test_out_of_memory_is_reported_with_the_batch_and_a_remedy(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: Any, **__: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(Trainer, "train_step", run_out)
    with pytest.raises(InputError) as error:
        run(tiny_data, tiny_model, tmp_path, {"batch_size": 8, "num_train_epochs": 1.0})
    assert re.fullmatch(
        r"out of memory in step 0, with a batch of 8 rows × \d+ tokens: rows (\d+, ){7}\d+\n"
        r"  where:    batch_size, max_length\n"
        r"  expected: batches that fit into memory\n"
        r"  remedy:   --batch-size 4 --gradient-accumulation-steps 2, or a smaller --max-length",
        str(error.value),
    )
