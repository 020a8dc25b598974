"""The Keras optimizer of a config, which records the learning rate that it applied."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at, learning_rates
from kfp_finetune.components.load_data.sampling import stride


class _Float64:
    """The arithmetic of float64 tensors, for the curves."""

    cos, sqrt = staticmethod(tf.cos), staticmethod(tf.sqrt)
    minimum, maximum = staticmethod(tf.minimum), staticmethod(tf.maximum)

    @staticmethod
    def of(value: Any) -> Any:
        """A number as a float64 tensor; TensorFlow's default is float32."""
        return tf.convert_to_tensor(value, tf.float64)

    @classmethod
    def where(cls, condition: Any, a: Any, b: Any) -> Any:
        return tf.where(condition, cls.of(a), cls.of(b))


_FLOAT64 = _Float64()


class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A `Schedule` for Keras: a table with the rates of all steps.

    The optimizer gets exactly the rates that the curve shows, for every schedule. A very long run
    would need a large table, so there the same formula is computed in float64, which differs only
    in rounding.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.table: tf.Tensor | None = None
        if stride(schedule.num_train_steps) == 1:
            self.table = tf.constant(learning_rates(schedule))

    def __call__(self, step: Any) -> Any:
        """The rate of step `step`, a numeric scalar; past the end, the last rate."""
        last = self.schedule.num_train_steps
        step = tf.minimum(tf.cast(step, tf.int64), last)
        if self.table is not None:
            return tf.gather(self.table, step)
        rate = learning_rate_at(self.schedule, tf.cast(step, tf.float64), _FLOAT64)
        return tf.cast(_FLOAT64.of(rate), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `from_config`."""
        return {"schedule": self.schedule.model_dump()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> KerasSchedule:
        """The inverse of `get_config`."""
        return cls(Schedule.model_validate(config["schedule"]))


class Recording:
    """A mixin for Keras optimizers that records the rate of the latest step.

    Gradients are applied as they are: under a `tf.distribute` strategy the caller has already
    summed them over the replicas. (Keras would sum them after clipping, so that each replica would
    clip by the norm of its own share.) Weight decay applies to `is_decayed` variables only.

    Attributes:
        applied_learning_rate: float32 scalar, NaN before the first step.
    """

    built: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.applied_learning_rate = tf.Variable(
            float("nan"),
            trainable=False,
            dtype=tf.float32,
            # Each replica records the rate, which is the same on all of them.
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def build(self, variables: list[Any]) -> None:
        """Create the slots.

        Args:
            variables: The variables to update, in the order of the gradients.
        """
        if self.built:
            return
        spared = [variable for variable in variables if not is_decayed(variable)]
        self.exclude_from_weight_decay(var_list=spared)  # type: ignore[attr-defined]
        super().build(variables)  # type: ignore[misc]

    def _backend_update_step(
        self, grads: Any, trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        """Record the rate, which Keras passes from here to the update of every variable."""
        self.applied_learning_rate.assign(learning_rate)
        super()._backend_update_step(  # type: ignore[misc]
            grads, trainable_variables, learning_rate
        )

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
        return list(grads_and_vars)


class _FusedAdam:
    """A mixin for Keras' Adam: one fused kernel per variable instead of a dozen small ones.

    The kernel computes the same as Keras: epsilon is added to the uncorrected square root of the
    second moment, as in the last paragraph of section 2 of 1412.6980.
    """

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its moments.

        Args:
            gradient: The gradient, of the shape of the variable.
            variable: A variable that the optimizer was built for.
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
        """Update one variable and its momentum; the arguments are those of `_FusedAdam`."""
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
    """Return True if weight decay applies to a variable: not to biases and layer norms, as in BERT.

    These are recognised by their rank, 1, because their names differ between families; a bias of
    higher rank (MPNet's relative attention bias) is recognised by its name.
    """
    return len(variable.shape) > 1 and "bias" not in getattr(variable, "path", variable.name)


def build_optimizer(config: OptimizerConfig) -> Any:
    """Create the Keras optimizer of a config, with its schedule.

    Adafactor is not offered: the one in Keras keeps the full second moment, which Adafactor exists
    to avoid, and scales the rate by the size of each variable, so no single rate is applied.

    Returns:
        A Keras optimizer with an `applied_learning_rate` variable: the rate that its latest step
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
