"""One protocol, several ways to execute a notebook: the sandbox, papermill, a plain kernel; and pools of workers.

May import: ``sandbox`` and ``autograder.model``. Hostile notebooks are executed here only through the sandbox;
papermill and the plain kernel run what one trusts.
"""
