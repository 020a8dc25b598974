"""The kfp-finetune command."""
