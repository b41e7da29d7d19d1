"""Kubernetes: manifests, their validation and review, and a simulated rolling update."""
