"""The container image that every component runs in."""

# Built by `make image`; `kfp-finetune compile --image` puts another reference into the YAML.
IMAGE = "kfp-finetune:0.1.0"
