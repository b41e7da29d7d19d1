"""Stage test: the project's own tests pass, and notice bugs that the grader plants."""

from __future__ import annotations

from autograder.projects.harness import Bench
from autograder.projects.model import Requirement, Unmet
from autograder.projects.sandbox import Done
from autograder.projects.stage import Stage

__all__ = ["STAGE", "plant"]

_BLIND = (".github", ".dockerignore", "README.md")

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


def plant(bench: Bench, bug: str) -> dict[str, bytes]:
    """Return the file of the project that a bug changes, with the bug in it.

    Raises
    ------
    Unmet
        The setting names no module of the project.
    """
    setting, text = {"swapped": ("predict", _SWAPPED), "bounds": ("app", _OPEN)}[bug]
    module, _, name = bench.setting(setting).partition(":")
    path = module.replace(".", "/") + ".py"
    found = next((file for file in (path, f"src/{path}") if file in bench.project.files), None)
    if found is None or not name.isidentifier():
        raise Unmet(f"`{setting} = {bench.setting(setting)!r}` names no module of the project and a name in it")
    return {found: bench.project.files[found] + text.format(name=name).encode()}


def _run(bench: Bench) -> None:
    bench.require_installed()
    done = _tests(bench, {})
    evidence = f"`{' '.join(bench.project.command('test'))}` {'passed' if done.ok else done.how()}"
    if not bench.note("test.pass", done.ok, evidence, f"{done.seconds:.1f} s; {done.last(1)}"):
        raise Unmet("the tests fail already without a planted bug")
    for bug, what in (("swapped", "`predict` gives 1 − p"), ("bounds", "the app answers 200 where it said 422")):
        red = _tests(bench, plant(bench, bug))
        told = "the tests failed" if not red.ok else "the tests still passed"
        bench.note(
            f"test.catch_{bug}", not red.ok and not red.overdue, f"planted: {what}; {told}", f"{red.seconds:.1f} s"
        )


def _tests(bench: Bench, overlay: dict[str, bytes]) -> Done:
    place = bench.fresh(overlay=overlay)
    return bench.cell.run(
        bench.project.command("test"), cwd=place, seconds=bench.patience.test, env=bench.imports_from(place)
    )


STAGE = Stage("test", REQUIREMENTS, _run, blind=_BLIND)
