"""Decisions before a deployment: the deployment matrix, costs and prices."""
