"""The KFP component rank."""

from typing import NamedTuple

from kfp import dsl

from kfp_finetune.components.image import IMAGE, versioned


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def rank(
    candidates: list,
    models: dsl.Input[list[dsl.Model]],
    metrics: dsl.Input[list[dsl.Artifact]],
    leaderboard: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    model: dsl.Output[dsl.Model],
    metrics_json: dsl.Output[dsl.Artifact],
    best_metrics: dsl.Output[dsl.Metrics],
) -> NamedTuple("Ranked", [("artifact_uris", dict), ("verdict", dict)]):
    """Rank trials on the same data, and return the best model.

    Args:
        candidates: The settings of each trial by name, and its seed; every key is present.
        models: The models that finetune wrote, in the same order.
        metrics: The metrics that evaluate wrote, in the same order.

    Returns:
        leaderboard: All candidates with their metrics, the best first, for machines.
        report: One page: verdict, leaderboard, learning rates and validation curves.
        model: The best model.
        metrics_json: The metrics of the best model.
        best_metrics: The same as scalars.
        artifact_uris: The URI of each artifact, by output; KFP's cache keeps it.
        verdict: The verdict on the best model, as in metrics_json; KFP's cache keeps it.
    """
    from kfp_finetune.components import runtime

    written = (leaderboard, report, model, metrics_json, best_metrics)
    with runtime.step("rank", *written) as uris:
        from kfp_finetune.components import metadata
        from kfp_finetune.components.rank import ranking

        best = ranking.rank_trials(
            candidates=candidates,
            model_paths=[artifact.path for artifact in models],
            metrics_paths=[artifact.path for artifact in metrics],
            seconds=[artifact.metadata.get("training_seconds", 0.0) for artifact in models],
            leaderboard_path=leaderboard.path,
            report_path=report.path,
            model_path=model.path,
            best_metrics_path=metrics_json.path,
        )
        for name, value in metadata.finite(best.metrics).items():
            best_metrics.log_metric(name, value)
    return (uris, best.verdict.model_dump(mode="json") if best.verdict else {})
