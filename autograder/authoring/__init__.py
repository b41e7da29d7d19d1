"""Sources to notebooks: the rules of an exercise, the learner's copies and the bundle.

May import: ``autograder.model``, ``autograder.sandbox.names``. Reads the team's own files only.
"""
