"""Command ``project``: read, grade, write the report, and say what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.projects.model import ProjectError, ProjectReport
from autograder.projects.registry import open_project
from autograder.projects.report import write_report
from autograder.projects.stage import ProjectKind, grade
from autograder.reports.files import require_writable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["grade_project"]


def grade_project(
    folder: Path, *, only: Sequence[str], sandbox: str, build: bool, out: Path | None, console: Console
) -> ProjectReport:
    """Grade the project in ``folder``, show what was found, and write the report.

    Raises
    ------
    ProjectError
        The folder holds no practice project, or ``only`` names a stage that it has not.
    SandboxUnavailable
        Strangers' code cannot be walled in on this machine.
    UnwritableError
        There is no place for the report.
    """
    project, kind = open_project(folder)
    _check_stages(only, kind)
    require_writable(out or folder / "build")

    def print_stage(stage: str) -> None:
        console.print(f"  {stage} …", style="dim")

    report = grade(project, kind, only=only, sandbox=sandbox, build=build, on_stage=print_stage)
    _show(report, console)
    page = write_report(report, out or folder / "build")
    console.print(f"{report.points} of {report.max_points} points; the report is {page}")
    return report


def _check_stages(only: Sequence[str], kind: ProjectKind) -> None:
    known = [stage.name for stage in kind.stages]
    if unknown := [name for name in only if name not in known]:
        raise ProjectError(f"{kind.name} has no stage {', '.join(unknown)}.", expected=f"one of {', '.join(known)}")


def _show(report: ProjectReport, console: Console) -> None:
    from rich.text import Text

    for requirement, result in report.rows:
        mark = Text("✓ ", style="green") if result.passed else Text("✗ ", style="bold red")
        console.print(mark + Text(f"{requirement.id}  {requirement.title}"))
        if not result.passed:
            console.print(Text(f"    {result.evidence}"))
            if result.measured:
                console.print(Text(f"    {result.measured}", style="dim"))
            if result.tried:
                console.print(Text(f"    Next: {requirement.advice}", style="cyan"))
