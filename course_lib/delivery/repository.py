"""A temporary Git repository: commit files into it, run its workflows, and it is gone when the block ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from course_lib.delivery.act import Run, run
from course_lib.delivery.errors import DeliveryError

__all__ = ["Repository"]


class Repository:
    """A Git repository in a temporary folder.

    Examples
    --------
    >>> with Repository() as repository:  # doctest: +SKIP
    ...     repository.commit({"hello.py": "print('hello')"}, "the first commit")
    ...     repository.run("ci.yml")
    """

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="course-repository-")
        self.path = Path(self._scratch.name) / "repository"
        self.path.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str | bytes | None], message: str) -> str:
        """Write ``files`` (by path; ``None`` deletes one), commit them, and return the commit's id."""
        for name, content in files.items():
            self._write(name, content)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self._git("rev-parse", "HEAD").strip()

    def run(self, workflow: str, *, event: str = "push", env: Mapping[str, str] | None = None) -> Run:
        """Run one workflow file of ``.github/workflows`` on the last commit."""
        return run(self.path, workflow, event=event, env=env)

    def close(self) -> None:
        """Delete the repository."""
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, name: str, content: str | bytes | None) -> None:
        path = (self.path / name).resolve()
        if self.path.resolve() not in path.parents or ".git" in path.relative_to(self.path.resolve()).parts:
            raise DeliveryError(f"{name} is no file of the repository.", expected="a path inside it")
        if content is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def _git(self, *arguments: str) -> str:
        git = shutil.which("git")
        if git is None:
            raise DeliveryError("Git was not found.", expected="the program git", next_step="install git")
        # Neither the reader's settings (signing, hooks, names) nor an outer repository's variables reach in.
        env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": self._scratch.name}
        who = ["-c", "user.name=The desk", "-c", "user.email=desk@example.org", "-c", "core.hooksPath=/dev/null"]
        command = [git, *who, *arguments]
        done = subprocess.run(command, cwd=self.path, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeliveryError(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout
