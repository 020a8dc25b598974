"""The described optimizer as a Keras object that remembers which rate it applied."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from transformers import AdamWeightDecay

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at, learning_rates
from kfp_finetune.components.load_data.sampling import stride


class _Float64:
    """What the curves compute with, of float64 tensors."""

    cos, sqrt = staticmethod(tf.cos), staticmethod(tf.sqrt)
    minimum, maximum = staticmethod(tf.minimum), staticmethod(tf.maximum)

    @staticmethod
    def of(value: Any) -> Any:
        """A number as a tensor; TensorFlow would make float32 of it."""
        return tf.convert_to_tensor(value, tf.float64)

    @classmethod
    def where(cls, condition: Any, a: Any, b: Any) -> Any:
        return tf.where(condition, cls.of(a), cls.of(b))


_FLOAT64 = _Float64()


class KerasSchedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """A `Schedule` as Keras wants it: the rates of all steps, looked up by step.

    What the curve shows is what the optimizer gets, to the last bit, for every schedule there is. A
    very long run would need a large table: there the same formula is computed from the step in
    float64, which differs by rounding alone.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.table: tf.Tensor | None = None
        if stride(schedule.num_train_steps) == 1:
            self.table = tf.constant(learning_rates(schedule))

    def __call__(self, step: Any) -> Any:
        """The rate of update number `step` (any numeric scalar); past the end, the last one."""
        last = self.schedule.num_train_steps
        step = tf.minimum(tf.cast(step, tf.int64), last)
        if self.table is not None:
            return tf.gather(self.table, step)
        rate = learning_rate_at(self.schedule, tf.cast(step, tf.float64), _FLOAT64)
        return tf.cast(_FLOAT64.of(rate), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {"schedule": self.schedule.model_dump()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> KerasSchedule:
        """The inverse of `get_config`."""
        return cls(Schedule.model_validate(config["schedule"]))


class RecordsLearningRate:
    """Mixed into an optimizer: keeps the rate that its latest update used.

    The rate is taken from the coefficients that the update itself is computed from, after the
    optimizer has put them there; nothing is evaluated beside it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.applied_learning_rate = tf.Variable(
            float("nan"),
            trainable=False,
            dtype=tf.float32,
            # Under a `tf.distribute` strategy each replica notes the rate, and it is the same.
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def _prepare_local(self, var_device: str, var_dtype: Any, apply_state: Any) -> None:
        super()._prepare_local(var_device, var_dtype, apply_state)  # type: ignore[misc]
        self.applied_learning_rate.assign(apply_state[(var_device, var_dtype)]["lr_t"])


class Adam(RecordsLearningRate, tf_keras.optimizers.legacy.Adam):
    """Adam in one fused kernel per variable; the newer Keras 2 class takes dozens of small ones."""


class AdamW(RecordsLearningRate, AdamWeightDecay):
    """The fused Adam with decoupled weight decay: Transformers' `AdamWeightDecay`."""

    def _decay_weights_op(self, var: Any, learning_rate: Any, apply_state: Any) -> Any:
        if not _is_decayed(var):
            return tf.no_op()
        return super()._decay_weights_op(var, learning_rate, apply_state)


class Sgd(RecordsLearningRate, tf_keras.optimizers.legacy.SGD):
    """Gradient descent, with or without momentum, in one fused kernel per variable."""


class Lion(tf_keras.optimizers.Lion):
    """Lion (2302.06675): the sign of an interpolated momentum, with decoupled weight decay.

    Keras has it only as an optimizer of the newer kind, which computes the rate of an update into
    a variable before it makes the update from that variable.
    """

    @property
    def applied_learning_rate(self) -> Any:
        """The variable that the latest update took its rate from."""
        return self._current_learning_rate

    def _use_weight_decay(self, variable: Any) -> bool:
        return _is_decayed(variable)

    def _create_all_weights(self, variables: Any) -> None:
        """Make the slots, by the name that the other optimizers have for it."""
        self.build(variables)


def _is_decayed(variable: Any) -> bool:
    """Whether weight decay is for this variable: not for biases and layer norms, as in BERT's own.

    These are told by their rank, 1, and not by their names, which differ between families; a bias
    of higher rank (MPNet's relative attention bias) is told by its name.
    """
    return len(variable.shape) > 1 and "bias" not in variable.name


def build_optimizer(config: OptimizerConfig) -> Any:
    """The Keras optimizer that a config describes, with its schedule inside.

    Adafactor is not among them: that of Keras keeps the full second moment, which it exists to
    avoid, and scales its rate by the size of each variable, so that no one rate is applied.

    Returns:
        A `tf_keras` optimizer with an `applied_learning_rate` variable: the rate that its latest
        update used.
    """
    arguments: dict[str, Any] = {"learning_rate": KerasSchedule(config.schedule)}
    if config.max_grad_norm is not None:
        arguments["global_clipnorm"] = config.max_grad_norm
    if config.name == "sgd":
        return Sgd(**arguments, momentum=config.momentum)
    if config.name == "lion":
        # Compiling each variable's update takes longer than a short run, and gains nothing here.
        return Lion(**arguments, weight_decay=config.weight_decay or None, jit_compile=False)
    arguments |= {
        "beta_1": config.adam_beta1,
        "beta_2": config.adam_beta2,
        "epsilon": config.adam_epsilon,
    }
    if config.name == "adam":
        return Adam(**arguments)
    return AdamW(**arguments, weight_decay_rate=config.weight_decay)
