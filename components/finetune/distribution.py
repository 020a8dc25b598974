"""The devices that make each update together: one, all GPUs of this machine, or several machines.

A strategy changes neither the plan nor the order of the rows nor the batches: it divides the rows
of every batch among the replicas, one a device, and adds up what they find.
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
# What a collective operation ends with where a process that takes part in it has gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnavailableError,
)


@functools.cache  # the connection to the other workers is made once a process
def strategy() -> tf.distribute.Strategy:
    """Find the devices: those of all workers in TF_CONFIG, else all GPUs, else what there is.

    To be called after threads are set, before anything is computed. With several workers it waits
    until all of them are there.

    Returns:
        TensorFlow's default strategy, which does nothing, for one device; otherwise one whose
        `scope()` the model and its optimizer have to be made in.

    Raises:
        InputError: If TF_CONFIG cannot be followed.
    """
    workers = _workers()
    if workers > 1:
        emit("note", "finetune", text=f"training with {workers} workers, for which it waits")
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes what is written once; the only worker is the chief."""
    return bool(strategy.extended.should_checkpoint)


def environment(strategy: tf.distribute.Strategy) -> dict[str, int]:
    """How many replicas and workers a result depends on."""
    return {"replicas": strategy.num_replicas_in_sync, "workers": _workers()}


def of_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """Have all workers know a number that the chief knows; all have to call this.

    Args:
        strategy: Over all workers.
        value: The chief's; that of other workers is not used.
    """
    if _workers() == 1:
        return value

    def shared() -> Any:
        replica = tf.distribute.get_replica_context()
        own = tf.where(replica.replica_id_in_sync_group == 0, value, 0)
        return replica.all_reduce("sum", tf.cast(own, tf.int64))

    return int(strategy.experimental_local_results(strategy.run(tf.function(shared)))[0])


def check_same(strategy: tf.distribute.Strategy, facts: Mapping[str, Any]) -> None:
    """Check that all workers train the same thing, as otherwise they would wait for each other.

    Args:
        strategy: Over all workers, each of which calls this.
        facts: As `run_facts.facts_of` says them; the environment may differ.

    Raises:
        InputError: On a worker whose facts are not the chief's.
    """
    same = {name: facts[name] for name in sorted(facts) if not name.startswith("environment.")}
    digest = hashlib.sha256(json.dumps(same).encode()).digest()
    number = int.from_bytes(digest[:7])
    if of_chief(strategy, number) != number:
        raise InputError(
            "this worker was given other data, another model or other parameters than the chief",
            where="TF_CONFIG",
            expected="workers that are started alike",
            remedy="start all of them with the same image, data and parameters",
        )


@contextlib.contextmanager
def tell_of_lost_workers() -> Iterator[None]:
    """Within, say plainly that another worker is gone, which TensorFlow notices within seconds.

    Raises:
        RuntimeError: If one is.
    """
    try:
        yield
    except _LOST as error:
        if _workers() == 1:
            raise
        raise RuntimeError(
            "another worker has ended, or never began: its own log says why. Training ends with"
            " it; started again, all workers go on from the last checkpoint in checkpoint_dir"
        ) from error


def _workers() -> int:
    """How many processes train together, as TF_CONFIG has it; 1 without it."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text or "{}")
        cluster, job = config.get("cluster", {}), config.get("task", {}).get("type", "chief")
        if set(cluster) <= {*_JOBS} and (not cluster or job in cluster):
            return max(1, sum(len(cluster[name]) for name in cluster))
        found = f"TF_CONFIG has the jobs {', '.join(cluster)}, and this is a {job}"
    except (ValueError, TypeError, AttributeError) as error:
        found = f"TF_CONFIG cannot be read: {error}"
    raise InputError(
        found,
        where="the environment",
        expected="workers, one of which may be called chief, as a TFJob with the replica types"
        " Chief and Worker sets it",
        remedy="leave out parameter servers and evaluators, or unset TF_CONFIG",
    )
