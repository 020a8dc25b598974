"""The KFP component build_optimizer."""

from typing import NamedTuple

from kfp import dsl

from kfp_finetune.components.image import IMAGE, versioned


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def build_optimizer(
    num_train_steps: int,
    optimizer_config: dsl.Output[dsl.Artifact],
    learning_rate_curve: dsl.Output[dsl.HTML],
    hidden_size: int = 0,
    optimizer: str = "adam",
    learning_rate: float = 0.0,
    lr_scheduler_type: str = "polynomial",
    end_learning_rate: float = 0.0,
    power: float = 1.0,
    num_cycles: int = 2,
    decay_rate: float = 0.1,
    decay_ratio: float = 0.1,
    lr_boundaries: str = "",
    warmup_ratio: float = 0.0,
    warmup_steps: int = 0,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_epsilon: float = 1e-7,
    max_grad_norm: float = 0.0,
) -> NamedTuple("Built", [("learning_rate", float), ("artifact_uris", dict)]):
    """Build the learning-rate schedule and the optimizer for a run of num_train_steps steps.

    Args:
        num_train_steps: Optimizer steps of the run, as counted by count_steps.
        hidden_size: Width of the model's encoder, as returned by load_data; 0: unknown.
        optimizer: adam, adamw (decoupled weight decay), sgd or lion.
        learning_rate: Peak learning rate. 0: chosen from the model's hidden size.
        lr_scheduler_type: polynomial, linear, cosine, cosine_with_restarts, inverse_sqrt,
            exponential, piecewise_constant, warmup_stable_decay or constant.
        end_learning_rate: Learning rate at the end of the decay, for polynomial, linear, cosine,
            cosine_with_restarts and warmup_stable_decay.
        power: Exponent of the polynomial decay (1 = linear).
        num_cycles: For cosine_with_restarts: number of decays, each restarting at the peak.
        decay_rate: For exponential: learning rate after the last step, as a share of the first; the
            rate rises if it is above 1.
        decay_ratio: For warmup_stable_decay: share of the steps spent in the final decay.
        lr_boundaries: For piecewise_constant: share of the steps and the learning rate from there
            on, such as 0.5:1e-5,0.8:1e-6.
        warmup_ratio: Share of the steps spent in warmup, rising from 0 to the peak.
        warmup_steps: Steps spent in warmup, instead of warmup_ratio.
        momentum: Momentum of sgd; 0.9 is usual.
        weight_decay: Weight decay of adamw and lion; not applied to biases and layer norms.
        adam_beta1: Decay rate of the first moment, for adam and adamw.
        adam_beta2: Decay rate of the second moment, for adam and adamw.
        adam_epsilon: Constant added to the denominator, for adam and adamw.
        max_grad_norm: Clip the global norm of the gradients to this value; 0: no clipping.

    Returns:
        optimizer_config: The optimizer and its schedule as validated JSON.
        learning_rate_curve: A picture of the learning rate of every step.
        learning_rate: Peak learning rate, as given or chosen.
        artifact_uris: URIs of the artifacts by output, which KFP's cache keeps.
    """
    from kfp_finetune.components import runtime

    with runtime.step("build_optimizer", optimizer_config, learning_rate_curve) as uris:
        from kfp_finetune.components import metadata
        from kfp_finetune.components.build_optimizer import build
        from kfp_finetune.components.not_given import given

        parameters = given(
            num_train_steps=num_train_steps,
            hidden_size=hidden_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            lr_scheduler_type=lr_scheduler_type,
            end_learning_rate=end_learning_rate,
            power=power,
            num_cycles=num_cycles,
            decay_rate=decay_rate,
            decay_ratio=decay_ratio,
            lr_boundaries=lr_boundaries,
            warmup_ratio=warmup_ratio,
            warmup_steps=warmup_steps,
            momentum=momentum,
            weight_decay=weight_decay,
            adam_beta1=adam_beta1,
            adam_beta2=adam_beta2,
            adam_epsilon=adam_epsilon,
            max_grad_norm=max_grad_norm,
        )
        config = build.build_optimizer(
            optimizer_config_path=optimizer_config.path,
            learning_rate_curve_path=learning_rate_curve.path,
            **parameters,
        )
        optimizer_config.metadata.update(metadata.of(config.model_dump()))
    return config.schedule.learning_rate, uris
