"""Continue a failed or terminated run on the cluster."""

from __future__ import annotations

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.observed import find
from kfp_finetune.cli.cluster.watch import reasons_of
from kfp_finetune.components.errors import InputError


def resume_on_cluster(cluster: Cluster, name: str) -> None:
    """Have KFP retry the steps that failed or were not reached; finished steps are kept.

    Raises:
        InputError: If there is no such run, it has not ended or it has succeeded.
        ClusterError: If the cluster fails.
    """
    run = find(cluster, name)
    flags = cluster.connection.flags
    if run.status not in ("failed", "terminated"):
        ended = run.status == "succeeded"
        raise InputError(
            f"run {run.name} has succeeded" if ended else f"run {run.name} has not ended",
            where=cluster.link(run.id),
            expected="a run that has failed or was terminated",
            remedy=f"kfp-finetune {'rerun' if ended else 'status'} {run.id}{flags}",
        )
    failed = [step for step in run.shown if step.state == "failed"]
    reasons = reasons_of(cluster, run, failed)
    for step in failed:
        print(f"{step.title} failed: {reasons[step.key].text}")
        if reasons[step.key].change and reasons[step.key].input_error is None:
            print(f"  a resumed run cannot be changed; {reasons[step.key].remedy}")
    cluster.retry(run.id)
    kept = [step for step in run.steps if step.state in ("done", "cached")]
    print(f"run {run.name} continues; {len(kept)} of {len(run.steps)} steps are already done")
    again = [s for s in run.steps if s.task.name == "finetune" and s.started and s not in kept]
    if again:
        directory = run.parameters.get("checkpoint_dir")
        print(
            f"finetune continues after its last checkpoint in {directory}"
            if directory
            else "finetune starts from the beginning: the run has no checkpoint_dir"
        )
    print(f"page:   {cluster.link(run.id)}\nstatus: kfp-finetune status {run.id}{flags}")
