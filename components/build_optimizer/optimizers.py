"""The described optimizer as a Keras object that remembers which rate it applied."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

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


class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
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


class Recording:
    """Mixed into a Keras optimizer: keeps the rate that its latest update used.

    Gradients are taken as they are: under a `tf.distribute` strategy the caller has already summed
    them over the replicas. (Keras would do so after clipping, so that each replica would clip by
    the norm of its own share.) Weight decay is applied to `is_decayed` variables only.

    Attributes:
        applied_learning_rate: float32 scalar, NaN before the first update.
    """

    built: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.applied_learning_rate = tf.Variable(
            float("nan"),
            trainable=False,
            dtype=tf.float32,
            # Each replica notes the rate, and it is the same.
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def build(self, variables: list[Any]) -> None:
        """Make the slots.

        Args:
            variables: What the optimizer will update, in the order of the gradients.
        """
        if self.built:
            return
        spared = [variable for variable in variables if not is_decayed(variable)]
        self.exclude_from_weight_decay(var_list=spared)  # type: ignore[attr-defined]
        super().build(variables)  # type: ignore[misc]

    def _backend_update_step(
        self, grads: Any, trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        """Keras passes the rate on from here to the update of every variable."""
        self.applied_learning_rate.assign(learning_rate)
        super()._backend_update_step(  # type: ignore[misc]
            grads, trainable_variables, learning_rate
        )

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
        return list(grads_and_vars)


class _FusedAdam:
    """Mixed into Keras' Adam: one fused kernel per variable in place of a dozen small ones.

    The kernel computes what Keras does: epsilon is added to the uncorrected square root of the
    second moment, as in the last paragraph of section 2 of 1412.6980.
    """

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its moments.

        Args:
            gradient: Of the variable's shape.
            variable: A `tf.Variable` that the optimizer was built for.
            learning_rate: float32 scalar.
        """
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations, variable.dtype) + 1
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.constant(self.beta_2, variable.dtype), step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class Adam(Recording, _FusedAdam, keras.optimizers.Adam):
    """Adam (1412.6980)."""


class AdamW(Recording, _FusedAdam, keras.optimizers.AdamW):
    """Adam with decoupled weight decay (1711.05101)."""


class Sgd(Recording, keras.optimizers.SGD):
    """Gradient descent, with or without momentum, in one fused kernel per variable."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its momentum; arguments as `_FusedAdam` takes them."""
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle, alpha=learning_rate, delta=gradient
            )
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
        )


class Lion(Recording, keras.optimizers.Lion):
    """Lion (2302.06675): the sign of an interpolated momentum, with decoupled weight decay."""


def is_decayed(variable: Any) -> bool:
    """Whether weight decay is for this variable: not for biases and layer norms, as in BERT's own.

    These are told by their rank, 1, and not by their names, which differ between families; a bias
    of higher rank (MPNet's relative attention bias) is told by its name.
    """
    return len(variable.shape) > 1 and "bias" not in getattr(variable, "path", variable.name)


def build_optimizer(config: OptimizerConfig) -> Any:
    """The Keras optimizer that a config describes, with its schedule inside.

    Adafactor is not among them: that of Keras keeps the full second moment, which it exists to
    avoid, and scales its rate by the size of each variable, so that no one rate is applied.

    Returns:
        A Keras optimizer with an `applied_learning_rate` variable: the rate that its latest update
        used.
    """
    arguments: dict[str, Any] = {"learning_rate": KerasSchedule(config.schedule)}
    if config.max_grad_norm is not None:
        arguments["global_clipnorm"] = config.max_grad_norm
    if config.name == "sgd":
        return Sgd(**arguments, momentum=config.momentum)
    if config.name == "lion":
        return Lion(**arguments, weight_decay=config.weight_decay or None)
    arguments |= {
        "beta_1": config.adam_beta1,
        "beta_2": config.adam_beta2,
        "epsilon": config.adam_epsilon,
    }
    if config.name == "adam" or not config.weight_decay:
        return Adam(**arguments)
    return AdamW(**arguments, weight_decay=config.weight_decay)
