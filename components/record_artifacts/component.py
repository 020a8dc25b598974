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
    candidates: list = [],  # noqa: B006
    candidates_build_optimizer: list = [],  # noqa: B006
    candidates_finetune: list = [],  # noqa: B006
    candidates_evaluate: list = [],  # noqa: B006
):
    """Write down where the artifacts of all steps are, those from the cache included.

    Args:
        pipeline: The pipeline's name, as the command line calls it.
        load_data: What load_data returned as artifact_uris.
        build_optimizer: What build_optimizer returned as artifact_uris.
        finetune: What finetune returned as artifact_uris.
        evaluate: What evaluate returned as artifact_uris.
        rank: What rank returned as artifact_uris.
        candidates: What was compared.
        candidates_build_optimizer: What build_optimizer returned for each candidate.
        candidates_finetune: What finetune returned for each candidate.
        candidates_evaluate: What evaluate returned for each candidate.

    Returns:
        artifacts: One JSON file: URIs by output, by step; the version and the pipeline's name.
    """
    from kfp_finetune.components import runtime

    with runtime.step("record_artifacts", artifacts):
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
