"""TensorFlow as the step sets it up; threads can only be set before it is used at all."""

from kfp_finetune.components.finetune import devices

devices.configure(seed=0)
