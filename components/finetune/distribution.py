"""Distributed training on one device, all GPUs of this machine, or several machines.

A strategy changes neither the plan nor the order of the rows nor the batches: it divides the rows
of every batch among the replicas, one per device, and sums their gradients.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import emit

_JOBS = ("chief", "worker")
# Errors of a collective operation after one of its processes has ended.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnavailableError,
)


@functools.cache  # a process connects to the other workers once
def strategy() -> tf.distribute.Strategy:
    """The strategy for the devices: all workers in TF_CONFIG, else all GPUs, else one device.

    Call it after the threads are set and before anything is computed. With several workers it waits
    until all of them have started.

    Returns:
        TensorFlow's default strategy, which does nothing, for one device; otherwise a strategy in
        whose `scope()` the model and its optimizer must be created.

    Raises:
        InputError: If TF_CONFIG is not valid or names jobs that do not train.
    """
    workers = _workers()
    if workers > 1:
        emit("note", "finetune", text=f"waiting for all {workers} workers")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return True for the chief, which writes the results; a single worker is the chief."""
    return bool(strategy.extended.should_checkpoint)


def environment(strategy: tf.distribute.Strategy) -> dict[str, int]:
    """The number of replicas and workers, on which results depend."""
    return {"replicas": strategy.num_replicas_in_sync, "workers": _workers()}


def of_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """Send a number from the chief to all workers, all of which must call this.

    Args:
        strategy: The strategy over all workers.
        value: The number on the chief; ignored on other workers.

    Returns:
        The chief's number.
    """
    if _workers() == 1:
        return value

    def shared() -> Any:
        replica = tf.distribute.get_replica_context()
        own = tf.where(replica.replica_id_in_sync_group == 0, value, 0)
        return replica.all_reduce("sum", tf.cast(own, tf.int64))

    return int(strategy.experimental_local_results(strategy.run(tf.function(shared)))[0])


def check_same(strategy: tf.distribute.Strategy, facts: Mapping[str, Any]) -> None:
    """Check that all workers run the same training; otherwise they would hang.

    Args:
        strategy: The strategy over all workers, each of which calls this.
        facts: As `run_facts.facts_of` returns them; the environment may differ.

    Raises:
        InputError: On a worker whose facts differ from the chief's.
    """
    same = {name: facts[name] for name in sorted(facts) if not name.startswith("environment.")}
    digest = hashlib.sha256(json.dumps(same).encode()).digest()
    number = int.from_bytes(digest[:7])
    if of_chief(strategy, number) != number:
        raise InputError(
            "this worker's data, model or parameters differ from the chief's",
            where="TF_CONFIG",
            expected="the same arguments on all workers",
            remedy="start all workers with the same image, data and parameters",
        )


@contextlib.contextmanager
def lost_workers_explained() -> Iterator[None]:
    """Replace TensorFlow's error about a lost worker, which it notices within seconds.

    Raises:
        RuntimeError: If another worker has ended.
    """
    try:
        yield
    except _LOST as error:
        if _workers() == 1:
            raise
        raise RuntimeError(
            "another worker has ended or never started; its log has the reason. Restart all workers"
            " to continue from the last checkpoint in checkpoint_dir"
        ) from error


def _workers() -> int:
    """The number of processes that train together, from TF_CONFIG; 1 without it."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text or "{}")
        cluster, job = config.get("cluster", {}), config.get("task", {}).get("type", "chief")
        if set(cluster) <= {*_JOBS} and (not cluster or job in cluster):
            return max(1, sum(len(cluster[name]) for name in cluster))
        found = f"TF_CONFIG has the jobs {', '.join(cluster)}, but this process has the job {job}"
    except (ValueError, TypeError, AttributeError) as error:
        found = f"TF_CONFIG cannot be read: {error}"
    raise InputError(
        found,
        where="the environment",
        expected="workers and at most one chief, as set by a TFJob with the replica types Chief and"
        " Worker",
        remedy="remove parameter servers and evaluators from the TFJob, or unset TF_CONFIG",
    )
