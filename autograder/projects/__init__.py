"""Grading of a practice project, from outside: its stages are run in a sandbox, offline, and report what holds.

May import: ``reports``, ``sandbox``, ``text``.
Hostile bytes come by, as data; the project's code is executed behind ``sandbox.py`` only.
"""
