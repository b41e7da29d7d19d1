"""Grade a course folder with stock nbgrader: ``python -m tests.parity.stock COURSE RESULT.json``.

Every assignment below ``source`` is generated, then every submission of it graded by itself, so that one that stops
nbgrader does not hide the others.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

CELL_LIMIT = 4  # seconds


def main() -> None:
    """Grade and write what nbgrader's database says then."""
    course, result = Path(sys.argv[1]), Path(sys.argv[2])
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ["PATH"]]
    )  # nbgrader runs alembic
    os.chdir(course)
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.course_id = "parity"
    config.Execute.timeout = CELL_LIMIT
    api = NbGraderAPI(config=config)
    for source in sorted((course / "source").iterdir()):
        done = api.generate_assignment(source.name, force=True, create=True)
        assert done["success"], done["log"]
    (course / "generated").touch()
    scores = {}
    for folder in sorted((course / "submitted").glob("*/*")):
        student, name = folder.parent.name, folder.name
        done = api.autograde(name, student, force=True, create=True)
        scores[f"{name}/{student}"] = {"success": done["success"], "grades": grades(api, name, student)}
    result.write_text(json.dumps(scores))


def grades(api, name: str, student: str) -> dict[str, float | None] | None:
    """Return each cell's automatic score (null: waits for a person), or nothing if the student has no row."""
    from nbgrader.api import MissingEntry

    with api.gradebook as book:
        try:
            submission = book.find_submission(name, student)
        except MissingEntry:
            return None
        return {grade.name: grade.auto_score for notebook in submission.notebooks for grade in notebook.grades}


if __name__ == "__main__":
    main()
