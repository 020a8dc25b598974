"""load_data; for every trial build_optimizer → finetune → evaluate; rank; record_artifacts."""

from typing import Any

from kfp import dsl

from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.evaluate.component import evaluate
from kfp_finetune.components.finetune.component import finetune
from kfp_finetune.components.load_data.component import count_steps, load_data
from kfp_finetune.components.rank.component import rank
from kfp_finetune.components.record_artifacts.component import record_artifacts
from kfp_finetune.pipelines.compare_schedules.candidates import COMPARED, PRESETS, expand
from kfp_finetune.pipelines.finetune.pipeline import finetune as finetune_pipeline
from kfp_finetune.pipelines.signatures import described_by, inputs_of, with_parameters_of


@dsl.pipeline(
    name="kfp-finetune-compare-schedules",
    display_name="Compare learning-rate schedules",
    description="Fine-tune a Transformers model with several learning-rate schedules on the same"
    " data, and report which is best and whether the difference is more than noise.",
)
@described_by(load_data, count_steps, build_optimizer, finetune, evaluate)
@with_parameters_of(
    finetune_pipeline,
    without=(
        *build_optimizer.component_spec.inputs,  # each candidate has its own
        *("on_divergence", "tensorboard_dir", "earlier_runs"),
    ),
)
def compare_schedules(
    dataset: str,
    model: str,
    candidates: list = expand(PRESETS["course"]),  # noqa: B008 - KFP compiles it in
    **shared: Any,
):
    """Fine-tune a Transformers model with several schedules, and pass on the best.

    Args:
        model: Base model: a folder or a Hub id.
        candidates: Settings of the optimizer and its schedule to compare, each with a seed and
            every key of candidates.DEFAULTS; kfp-finetune fills in the missing keys.
        seed: Seed for the splits; each candidate has its own seed for training.
        checkpoint_dir: Folder, mounted volume or URI (s3://, gs://) for checkpoints, from which
            trials can be resumed; each trial has its own folder in it. No checkpoints if not given.
        checkpoints_to_keep: Number of checkpoints to keep for each trial.
        dataset_fingerprint: Content of the data; filled in by kfp-finetune.
        model_fingerprint: Content of the model; filled in by kfp-finetune.
    """
    data = load_data(dataset=dataset, model=model, **inputs_of(load_data, shared))
    steps = count_steps(
        num_train_examples=data.outputs["num_train_examples"],
        num_labels=data.outputs["num_labels"],
        **inputs_of(count_steps, shared),
    )
    with dsl.ParallelFor(candidates) as candidate:
        built = build_optimizer(
            num_train_steps=steps.outputs["num_train_steps"],
            hidden_size=data.outputs["hidden_size"],
            **{name: getattr(candidate, name) for name in COMPARED},
        )
        of_trial = {
            "seed": candidate.seed,
            "num_train_epochs": steps.outputs["num_train_epochs"],
            "on_divergence": "report",  # a trial that diverges is a result
            "checkpoint_per_trial": True,
        }
        trained = finetune(
            tokenized_dataset=data.outputs["tokenized_dataset"],
            optimizer_config=built.outputs["optimizer_config"],
            base_model=model,
            **inputs_of(finetune, shared) | of_trial,
        )
        evaluated = evaluate(
            tokenized_dataset=data.outputs["tokenized_dataset"],
            model=trained.outputs["model"],
            **inputs_of(evaluate, shared),
        )
    ranked = rank(
        candidates=candidates,
        models=dsl.Collected(trained.outputs["model"]),
        metrics=dsl.Collected(evaluated.outputs["metrics_json"]),
    )
    record_artifacts(
        pipeline="compare_schedules",
        load_data=data.outputs["artifact_uris"],
        rank=ranked.outputs["artifact_uris"],
        verdict=ranked.outputs["verdict"],
        candidates=candidates,
        candidates_build_optimizer=dsl.Collected(built.outputs["artifact_uris"]),
        candidates_finetune=dsl.Collected(trained.outputs["artifact_uris"]),
        candidates_evaluate=dsl.Collected(evaluated.outputs["artifact_uris"]),
    ).set_caching_options(False)
