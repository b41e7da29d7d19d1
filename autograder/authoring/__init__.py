"""Sources to notebooks: the rules of an exercise, the learner's copies, the bundle, and the answers that prove a check.

May import: ``autograder.model``, ``autograder.sandbox.names``, ``autograder.runners``. Reads the team's own files only.
"""
