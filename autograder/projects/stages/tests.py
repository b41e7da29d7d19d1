"""Stage test: the project's own tests pass, and notice bugs that the grader plants."""

from __future__ import annotations

from autograder.projects.harness import Harness
from autograder.projects.model import Requirement, Unmet
from autograder.projects.sandbox import CompletedCommand
from autograder.projects.stage import Stage

__all__ = ["STAGE", "mutant"]

_EXCLUDED = (".github", ".dockerignore", "README.md")

REQUIREMENTS = (
    Requirement("test.pass", "the project's tests pass", 3, "Run the command under `test` in a fresh clone."),
    Requirement(
        "test.catch_swapped",
        "they fail when the model's answers are the wrong way round",
        5,
        "Test what the model says of rows whose label is known, not only that it says something.",
    ),
    Requirement(
        "test.catch_bounds",
        "they fail when the API lets nonsense in",
        5,
        "Send values outside the bounds to the app in a test, and expect 422.",
    ),
)

_SWAPPED = """

_planted = {name}


def {name}(*args, **options):
    return [1 - float(chance) for chance in _planted(*args, **options)]
"""
_OPEN = """

from starlette.responses import JSONResponse as _PlantedResponse


@{name}.middleware("http")
async def _planted(request, call_next):
    response = await call_next(request)
    if response.status_code == 422:
        return _PlantedResponse({{"label": 0, "probability": 0.5}})
    return response
"""


def mutant(harness: Harness, bug: str) -> dict[str, bytes]:
    """Return the file of the project that a bug changes, with the bug in it.

    Raises
    ------
    Unmet
        The setting names no module of the project.
    """
    setting, text = {"swapped": ("predict", _SWAPPED), "bounds": ("app", _OPEN)}[bug]
    module, _, name = harness.setting(setting).partition(":")
    path = module.replace(".", "/") + ".py"
    found = next((file for file in (path, f"src/{path}") if file in harness.project.files), None)
    if found is None or not name.isidentifier():
        raise Unmet(f"`{setting} = {harness.setting(setting)!r}` names no module of the project and a name in it")
    return {found: harness.project.files[found] + text.format(name=name).encode()}


def _run(harness: Harness) -> None:
    harness.require_installed()
    done = _tests(harness, {})
    evidence = f"`{' '.join(harness.project.command('test'))}` {'passed' if done.ok else done.description()}"
    if not harness.record("test.pass", done.ok, evidence, f"{done.seconds:.1f} s; {done.output_tail(1)}"):
        raise Unmet("the tests fail already without a planted bug")
    for bug, what in (("swapped", "`predict` gives 1 − p"), ("bounds", "the app answers 200 where it said 422")):
        red = _tests(harness, mutant(harness, bug))
        outcome = "the tests failed" if not red.ok else "the tests still passed"
        harness.record(
            f"test.catch_{bug}", not red.ok and not red.overdue, f"planted: {what}; {outcome}", f"{red.seconds:.1f} s"
        )


def _tests(harness: Harness, overlay: dict[str, bytes]) -> CompletedCommand:
    return harness.run("test", harness.fresh(overlay=overlay), seconds=harness.timeouts.test)


STAGE = Stage("test", REQUIREMENTS, _run, excluded=_EXCLUDED)
