"""Gradescope's autograder: a zip that holds the grader and one notebook, and what runs in Gradescope's container.

On the instructor's machine ``package``; in the image ``files/setup.sh``; for each submission ``files/run_autograder``,
which is ``run``, and writes what ``results`` says.

May import: ``grading``, ``reports``, ``authoring``, ``sandbox``, ``model``, ``text``.
Hostile bytes: what was handed in, as data; the sandbox executes it, or nothing does.
"""
