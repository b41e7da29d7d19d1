"""Grade a course folder with stock nbgrader: ``python -m tests.parity.stock COURSE RESULT.json``.

Every assignment below ``source`` is generated, then every submission of it graded by itself, so that one that stops
nbgrader does not hide the others.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

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
        with api.gradebook as book:
            scores[f"{name}/{student}"] = {"success": done["success"], **standing(book, name, student)}
    result.write_text(json.dumps(scores))


def standing(book, name: str, student: str) -> dict[str, Any]:
    """Return what a gradebook says: each cell's automatic score (null: none), who waits for a person, the totals."""
    from nbgrader.api import MissingEntry

    try:
        submission = book.find_submission(name, student)
    except MissingEntry:
        return {"grades": None}
    cells = [grade for notebook in submission.notebooks for grade in notebook.grades]
    return {
        "grades": {grade.name: grade.auto_score for grade in cells},
        "waits": sorted(grade.name for grade in cells if grade.needs_manual_grade),
        "totals": [submission.score, submission.max_score, submission.code_score, submission.max_code_score],
        "written": [submission.max_written_score, submission.max_task_score],
    }


if __name__ == "__main__":
    main()
