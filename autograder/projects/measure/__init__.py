"""Measures taken of a project: simulated inputs, held-out rows, schema bounds, its metrics and its MLflow store.

May import: ``projects.model``.
Hostile bytes come by, as data that a project wrote.
"""
