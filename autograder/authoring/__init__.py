"""Sources to notebooks: the rules of an exercise, the learner's copies and the bundle.

May import: ``model``, ``sandbox.names``.
No hostile bytes: it reads the team's own files only.
"""
