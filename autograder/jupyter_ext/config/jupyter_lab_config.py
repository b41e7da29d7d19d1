"""What cannot be said in JSON: a port of one's own, also for two servers that start in the same moment."""

from autograder.jupyter_ext.ports import reserve

c.ServerApp.port = reserve()  # type: ignore[name-defined]  # noqa: F821 - Jupyter gives `c`
