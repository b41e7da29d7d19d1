"""Proof of the course: all notebooks run and graded, the answers that prove the checks, a learner's check, the doctor.

May import: everything below it, not ``jupyter_ext``. Runs the team's own notebooks and, in ``check``, the learner's.
"""
