"""Proof of the course: all notebooks run and graded, the answers that prove the checks, a learner's check, the doctor.

May import: ``grading``, ``reports``, ``runners``, ``authoring``, ``sandbox``, ``model``.
No hostile bytes: it runs the team's own notebooks and, in ``check``, a learner's own on the learner's machine.
"""
