"""Proof of the course: run and grade all notebooks, check a learner's own, and see what the machine lacks.

May import: everything below it, not ``jupyter_ext``. Runs the team's own notebooks and, in ``check``, the learner's.
"""
