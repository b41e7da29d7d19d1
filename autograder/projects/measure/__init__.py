"""Measures taken of a project: simulated inputs, held-out rows, schema bounds, its metrics and its MLflow store.

May import: ``course_lib`` and ``projects.model``. What a project wrote comes by here, as data.
"""
