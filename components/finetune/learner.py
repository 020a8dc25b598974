"""A run before it trains: the counted plan, and the compiled model with its data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts import optimizer_config as optimizer_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest
from kfp_finetune.components.build_optimizer.optimizers import build_optimizer
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.history import BestWeights
from kfp_finetune.components.finetune.inputs import Rows, validation_dataset
from kfp_finetune.components.finetune.parameters import Parameters
from kfp_finetune.components.finetune.trainer import Trainer
from kfp_finetune.components.finetune.vocabulary import UsedVocabulary
from kfp_finetune.components.load_data import model_location
from kfp_finetune.components.load_data.steps import StepPlan, count_steps
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.tasks.class_weights import check_names
from kfp_finetune.components.tasks.labels import num_outputs
from kfp_finetune.components.tasks.registry import get_task

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """The plan of a run, before anything is loaded.

    Attributes:
        parameters: The parameters of finetune.
        dataset_path: The folder that load_data wrote.
        data: The manifest of that folder.
        optimizer: The optimizer that build_optimizer described.
        plan: The counted steps.
    """

    parameters: Parameters
    dataset_path: str
    data: TokenizedDatasetManifest
    optimizer: OptimizerConfig
    plan: StepPlan

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters outside the plan and the optimizer that change weights."""
        parameters = self.parameters
        return {
            "seed": parameters.seed,
            "label_smoothing_factor": parameters.label_smoothing_factor,
            "class_weights": parameters.class_weights,
            # Omitted at their defaults: checkpoints from before focal_gamma can be resumed.
            **({"focal_gamma": parameters.focal_gamma} if parameters.focal_gamma else {}),
            **({"initial_bias": bias} if (bias := parameters.initial_bias) != "labels" else {}),
            "label_all_tokens": parameters.label_all_tokens,
            "jit_compile": parameters.jit_compile,
            "gradient_checkpointing": parameters.gradient_checkpointing,
            "selection": asdict(parameters.selection),
        }


@dataclass(frozen=True)
class Learner:
    """The model with its optimizer, its data, and the weights that are kept while it trains.

    Attributes:
        trainer: The compiled model.
        train: Rows of the training split.
        validation: As `inputs.validation_dataset` returns it; None if there are no rows.
        metrics: Names of the evaluated metrics, besides the loss.
        vocabulary: The part of the vocabulary that is trained; None for all of it.
        best: The weights of the best evaluation, if the model gets them in the end.
        finite: The weights of the last evaluation with a finite loss, if a divergence is reported
            rather than an error.
    """

    trainer: Trainer
    train: Rows
    validation: tuple[Any, int] | None
    metrics: list[str]
    vocabulary: UsedVocabulary | None
    best: BestWeights | None
    finite: BestWeights | None


def plan_run(
    parameters: Parameters, tokenized_dataset_path: str, optimizer_config_path: str
) -> Run:
    """Read the outputs of the previous pipeline steps, and count the steps.

    Raises:
        InputError: If the schedule is not as long as the plan, or the loss does not suit the data.
    """
    data = tokenized_dataset.read(tokenized_dataset_path)
    optimizer = optimizer_artifact.read(optimizer_config_path)
    max_steps = parameters.max_steps
    if parameters.num_train_epochs is None and max_steps is None:
        max_steps = optimizer.schedule.num_train_steps
    plan = count_steps(
        data.splits["train"].rows,
        parameters.batch_size,
        parameters.num_train_epochs,
        max_steps,
        parameters.gradient_accumulation_steps,
        parameters.drop_remainder,
    )
    _check_schedule_fits(optimizer.schedule.num_train_steps, plan)
    get_task(data.task).check_training_loss(parameters.loss, data.problem_type)
    check_names(parameters.class_weights, data.label_names)
    return Run(parameters, tokenized_dataset_path, data, optimizer, plan)


def build(run: Run) -> Learner:
    """Load the model and compile it with the optimizer, the loss and the metrics.

    Call it within the scope of the strategy.

    Raises:
        InputError: If the model cannot be loaded or does not fit the data, or if
            `metric_for_best_model` is not measured.
    """
    parameters, data = run.parameters, run.data
    task = get_task(data.task)
    splits = {
        name: tokenized_dataset.open_split(run.dataset_path, name)
        for name in ("train", "validation")
    }
    network = load_network(run, initial_bias(run, splits["train"]))
    vocabulary = None
    if not run.optimizer.weight_decay:  # weight decay changes every weight, used or not
        vocabulary = UsedVocabulary(splits.values(), data, network.config.fixed_ids)
        vocabulary.shrink(network)
    train = Rows(splits["train"], data, vocabulary, label_all_tokens=parameters.label_all_tokens)
    training_loss = task.training_loss(
        data.problem_type, parameters.loss, train.labels, data.label_names
    )
    metrics = task.training_metrics(data.problem_type, data.label_names, data.positive_label)
    names = [metric.name for metric in metrics]
    parameters.selection.check(names, data.splits["validation"].rows)
    trainer = Trainer(
        network, run.plan.num_train_steps, training_loss, compile_steps=parameters.jit_compile
    )
    trainer.compile(
        optimizer=build_optimizer(run.optimizer),
        loss=task.loss(data.problem_type),
        weighted_metrics=metrics,
        jit_compile=False,
    )
    best = BestWeights(network) if parameters.load_best_model_at_end else None
    finite = BestWeights(network) if parameters.on_divergence == "report" else None
    validation = None
    if data.splits["validation"].rows:
        rows = Rows(splits["validation"], data, vocabulary)
        validation = validation_dataset(rows, run.plan.batch_size)
    return Learner(trainer, train, validation, names, vocabulary, best, finite)


def initial_bias(run: Run, train: pa.Table) -> NDArray[np.float32] | None:
    """The bias that a new head starts with, shape [outputs]; None for zeros.

    Args:
        run: The run.
        train: The training split.
    """
    parameters, data = run.parameters, run.data
    if parameters.initial_bias == "zeros":
        return None
    task = get_task(data.task)
    targets = task.targets(train["label"], data.problem_type, data.label_names)
    return task.constant_logits(data.problem_type, parameters.loss, targets, data.label_names)


def load_network(run: Run, initial_bias: NDArray[np.float32] | None) -> Any:
    """Load the base model with a head for the labels of the data.

    Args:
        run: The run.
        initial_bias: The bias of the head's last layer if it is new; None for zeros.

    Raises:
        InputError: If it cannot be loaded, or knows fewer tokens than the data has.
    """
    parameters, data = run.parameters, run.data
    network = load_classifier(
        model_location.resolve(parameters.base_model, parameters.model_revision, weights=True),
        per_token=get_task(data.task).per_token,
        num_labels=num_outputs(data.label_names),
        label_names=data.label_names,
        problem_type=data.problem_type,
        seed=parameters.seed,
        initial_bias=initial_bias,
        note=lambda text: emit("note", "finetune", text=text),
    )
    _check_model_fits(network.config.vocab_size, data, parameters.base_model)
    network.gradient_checkpointing = parameters.gradient_checkpointing
    return network


def _check_schedule_fits(schedule_steps: int, plan: StepPlan) -> None:
    if schedule_steps != plan.num_train_steps:
        raise InputError(
            f"the schedule is {schedule_steps:,} steps long, but the training is {plan}",
            where="optimizer_config",
            expected="a schedule as long as the training",
            remedy="build the optimizer with the num_train_steps that count_steps returned for this"
            " data and these parameters",
        )


def _check_model_fits(vocab_size: int, data: TokenizedDatasetManifest, base_model: str) -> None:
    if data.vocab_size > vocab_size:
        raise InputError(
            f"the data was tokenized for {data.model}, whose tokenizer has {data.vocab_size:,}"
            f" tokens; {base_model} has only {vocab_size:,}",
            where="base_model",
            expected="the model whose tokenizer the data was tokenized with",
            remedy="run load_data with this model",
        )
