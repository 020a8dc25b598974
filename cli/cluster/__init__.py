"""Kubeflow Pipelines on a cluster: submitting, watching, fetching."""
