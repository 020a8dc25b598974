"""The KFP component record_artifacts."""

from kfp import dsl

from kfp_finetune.components.image import IMAGE, versioned


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def record_artifacts(
    pipeline: str,
    artifacts: dsl.Output[dsl.Artifact],
    load_data: dict = {},  # noqa: B006 - KFP compiles it in
    build_optimizer: dict = {},  # noqa: B006
    finetune: dict = {},  # noqa: B006
    evaluate: dict = {},  # noqa: B006
    rank: dict = {},  # noqa: B006
    verdict: dict = {},  # noqa: B006
    candidates: list = [],  # noqa: B006
    candidates_build_optimizer: list = [],  # noqa: B006
    candidates_finetune: list = [],  # noqa: B006
    candidates_evaluate: list = [],  # noqa: B006
):
    """Record the URIs of the artifacts of all pipeline steps, including those from the cache.

    Args:
        pipeline: Name of the pipeline on the command line.
        load_data: The artifact_uris of load_data.
        build_optimizer: The artifact_uris of build_optimizer.
        finetune: The artifact_uris of finetune.
        evaluate: The artifact_uris of evaluate.
        rank: The artifact_uris of rank.
        verdict: The verdict on the model; it is printed, because a cached pipeline step has no log.
        candidates: The candidates of a comparison.
        candidates_build_optimizer: The artifact_uris of build_optimizer, one for each candidate.
        candidates_finetune: The artifact_uris of finetune, one for each candidate.
        candidates_evaluate: The artifact_uris of evaluate, one for each candidate.

    Returns:
        artifacts: JSON file with URIs by pipeline step and output, the version and the pipeline.
    """
    from kfp_finetune.components import runtime

    with runtime.step("record_artifacts", artifacts):
        if verdict:
            runtime.emit("verdict", "record_artifacts", verdict=verdict)
        from kfp_finetune.components.record_artifacts import record

        record.record_artifacts(
            artifacts.path,
            pipeline,
            {
                "load_data": load_data,
                "build_optimizer": build_optimizer,
                "finetune": finetune,
                "evaluate": evaluate,
                "rank": rank,
            },
            candidates,
            {
                "build_optimizer": candidates_build_optimizer,
                "finetune": candidates_finetune,
                "evaluate": candidates_evaluate,
            },
        )
