"""Stages of a graded project, one module each: install, train, tests, serve, container, image, ci, monitoring, llm.

May import: ``projects``.
Hostile bytes come by, as data; the project itself is executed in its sandbox only.
"""
