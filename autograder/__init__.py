"""The course's autograder: from sources to learner notebooks, and from submissions to grades.

May import: ``course_lib``, here and in every folder below; a folder's own list names what else, and the layers of
``[tool.importlinter]`` in pyproject.toml hold it to that. Hostile bytes come by in ``grading``, ``runners``,
``projects`` and ``sandbox``, and are executed in a sandbox only (``grade --sandbox none`` goes without).
"""
