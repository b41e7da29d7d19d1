"""The learner's bundle: everything a learner needs, nothing that gives an answer away, the same bytes every time."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.authoring import course_list
from autograder.authoring.bundle import NAME, BundleError, learner_makefile, make_bundle, secrets_in, write_bundle
from autograder.authoring.new_notebook import start_notebook
from autograder.authoring.release import TEXT_STUB, read_sources
from autograder.authoring.sources import SourceError

ROOT = Path(__file__).parents[3]
SECRET = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END", re.S)


@pytest.fixture(scope="module")
def bundle():
    return make_bundle(ROOT)


@pytest.fixture
def tiny_root(tiny_course):
    """The tiny course with the project's own files around it."""
    for name in ("course_lib", "autograder", "docs", "scripts"):
        shutil.copytree(ROOT / name, tiny_course / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (
        *ROOT.glob("requirements*"),
        ROOT / "pyproject.toml",
        *ROOT.glob("LICENSE*"),
        ROOT / ".gitignore",
        ROOT / "Makefile",
    ):
        shutil.copy(path, tiny_course / path.name)
    return tiny_course


def text_of(name, body):
    """The text of a file; of a notebook that of its cells. White space is one blank, so that no line break matters."""
    text = body.decode(errors="replace")
    if name.endswith(".ipynb"):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return " ".join(text.split())


def test_no_hidden_test_stands_anywhere_and_no_solution_in_a_notebook(bundle):
    # Searched for here as whole blocks; the command itself looks line by line.
    flat = {name: text_of(name, body) for name, body in bundle.files.items()}
    blocks = 0
    for path in sorted((ROOT / "solutions").glob("[0-9]*.py")):
        for kind, block in SECRET.findall(path.read_text()):
            text = " ".join(block.split())
            searched = [name for name in flat if kind == "HIDDEN TESTS" or name.startswith("notebooks/")]
            assert not [name for name in searched if text in flat[name]], f"{path.name}: {text[:60]}"
            blocks += 1
    assert blocks > 80
    assert not [name for name in flat if name.startswith("notebooks/") and "### BEGIN" in flat[name]]


def test_neither_sources_nor_answers_nor_tests_are_in_it(bundle):
    assert {name.partition("/")[0] for name in bundle.files} == {
        "notebooks", "course_lib", "autograder", "scripts", "Makefile", "README.md", "pyproject.toml",
        "requirements.lock", "requirements-vllm.in", "requirements-vllm.lock", "LICENSE", "LICENSE-text", ".gitignore",
        "course.toml",
    }  # fmt: skip
    assert not [name for name in bundle.files if "__pycache__" in name or name.endswith((".pyc", ".db"))]


def test_the_same_sources_give_the_same_bytes(bundle):
    again = make_bundle(ROOT)
    assert again.archive() == bundle.archive()
    with zipfile.ZipFile(io.BytesIO(bundle.archive())) as archive:
        assert archive.testzip() is None
        assert {info.filename.partition("/")[0] for info in archive.infolist()} == {NAME}
        scripts = [info for info in archive.infolist() if info.filename.endswith(".sh")]
        assert scripts
        assert all(info.external_attr >> 16 & 0o111 for info in scripts)


def test_the_makefile_has_what_a_learner_uses_and_its_scripts_are_there(bundle):
    text = bundle.files["Makefile"].decode()
    targets = set(re.findall(r"^([a-z]+):", text, re.M))
    assert targets == {"help", "env", "lab", "engines", "images", "vllm", "clean"}
    for script in re.findall(r"scripts/[\w.]+", text):
        assert script in bundle.files


@pytest.mark.parametrize("target", ["help", "lab"])
def test_make_knows_how_to_do_it_from_the_bundle_alone(bundle, tmp_path, target):
    write_bundle(bundle, tmp_path / "course")
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=tmp_path / "course", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (target == "lab") == ("jupyter lab" in done.stdout)


def test_the_checks_answer_in_the_bundle_alone(tiny_root, tmp_path):
    folder = write_bundle(make_bundle(tiny_root), tmp_path / "handed out")
    shutil.rmtree(tiny_root)
    command = [sys.executable, "-c", "import autograder.cli as c; print(c.__file__); c.run()", "check", "01"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout.startswith(str(folder))
    assert done.returncode == 1  # something is left to fix: nothing was solved
    assert "First thing to fix" in done.stdout
    assert "Exercise 1.1" in done.stdout
    assert "0 of 3 points so far; hidden tests bring up to 4 more" in done.stdout


def test_a_hidden_test_that_was_copied_into_the_library_is_noticed(tiny_root):
    leak = tiny_root / "course_lib" / "leak.py"
    leak.write_text('assert mean([0, 0, 9]) == 3, "mean([0, 0, 9]) should be 3"\n')
    with pytest.raises(BundleError, match=r"course_lib/leak.py holds .* of hidden-1-1"):
        make_bundle(tiny_root)


def test_a_line_of_a_solution_in_a_notebook_is_noticed(bundle):
    sources = read_sources(ROOT, ["01_mlops_overview"]).finished
    name = "notebooks/01_mlops_overview.ipynb"
    assert not secrets_in({name: bundle.files[name]}, sources)
    source = (ROOT / "solutions" / "01_mlops_overview.py").read_text()
    longest = max((line for _, block in SECRET.findall(source) for line in block.splitlines()), key=len)
    notebook = json.loads(bundle.files[name])
    notebook["cells"][-1]["source"] = ["A remark.\n", longest]
    assert longest.split()[0] in secrets_in({name: json.dumps(notebook).encode()}, sources)[0]


def test_an_unfinished_notebook_is_left_out_and_named(tiny_root):
    text = (tiny_root / "solutions" / "01_tiny.py").read_text()
    (tiny_root / "solutions" / "02_bad.py").write_text(text)
    start_draft(tiny_root, "03_draft")
    made = make_bundle(tiny_root)

    assert made.notebooks == ("01_tiny",)
    assert [name for name in made.files if name.endswith(".ipynb")] == ["notebooks/01_tiny.ipynb"]
    assert {name: error.violations[0].problem for name, error in made.left_out.items()} == {
        "02_bad": "the notebook does not start with its numbered title",
        "03_draft": "a draft: 9 lines are still to be written, the first in line 18",
    }
    with pytest.raises(SourceError, match="a draft"):
        make_bundle(tiny_root, ["03_draft"])
    assert make_bundle(tiny_root, ["01_tiny"]).left_out == {}


def start_draft(root, name):
    """Put a started notebook at the end of the list, of all sources that there are."""
    entries = "\n".join(
        f'[[notebook]]\nname = "{one.name}"\ntitle = "{one.title}"\n' for one in course_list.read_list(root)
    )
    (root / course_list.FILE).write_text(entries)
    start_notebook(root, name, "Draft")


def test_the_source_that_gives_something_away_is_blamed_and_no_other(tiny_root, change):
    start_draft(tiny_root, "02_two")
    path = tiny_root / "solutions" / "02_two.py"
    secret = "len([m for m in drawn if m >= 15]) / 200"
    path.write_text(path.read_text().replace("TODO", "Written").replace("delays = [-3", f"# {secret}\ndelays = [-3"))
    assert len(make_bundle(tiny_root).notebooks) == 2  # it stands in the open as a part of a line only
    whole = f'checks.close(many, {secret}, what="the share of late flights among 200")'
    (tiny_root / "course_lib" / "leak.py").write_text(whole + "\n")
    with pytest.raises(BundleError) as caught:
        make_bundle(tiny_root)
    assert caught.value.happened.count("holds") == 1
    assert "course_lib/leak.py holds" in caught.value.happened
    assert "of hidden-2-1 in 02_two.py" in caught.value.happened


def test_an_answer_that_nobody_wrote_is_a_draft_and_blames_no_other_notebook(tiny_root):
    # What a learner's copy holds in place of a written answer stands in every notebook, and is no secret.
    shutil.copytree(tiny_root / "solutions" / "answers" / "01_tiny", tiny_root / "solutions" / "answers" / "02_two")
    text = (tiny_root / "solutions" / "01_tiny.py").read_text()
    text = re.sub(r"\b1\.([12])\b(?=[: ·])", r"2.\1", re.sub(r"(ex|check|hidden)-1-", r"\1-2-", text))
    text = text.replace("# # 1 ·", "# # 2 ·").replace("## 1.1", "## 2.1")
    for k in (1, 2):
        answers = tiny_root / "solutions" / "answers" / "02_two"
        (answers / f"ex_1_{k}.py").rename(answers / f"ex_2_{k}.py")
    path = tiny_root / "solutions" / "02_two.py"
    path.write_text(re.sub(r"^# When a few values.*$", f"# {TEXT_STUB}", text, flags=re.M))
    made = make_bundle(tiny_root)

    assert made.notebooks == ("01_tiny",)
    assert "a line is still to be written" in str(made.left_out["02_two"])
    sources = read_sources(tiny_root).finished
    assert len(sources) == 2
    assert secrets_in({name: body for name, body in made.files.items() if name.endswith(".ipynb")}, sources) == []


def test_a_clone_that_lacks_a_file_is_a_clear_error(tiny_course):
    with pytest.raises(BundleError, match="cannot be read"):
        make_bundle(tiny_course)


def test_a_folder_with_something_in_it_is_not_overwritten(bundle, tmp_path):
    (tmp_path / "work").write_text("a learner's")
    with pytest.raises(BundleError, match="is there already"):
        write_bundle(bundle, tmp_path)


def test_a_makefile_keeps_its_settings_and_loses_the_other_targets():
    text = "BIN := x\n\n.PHONY: help lab test\nhelp:  ## list\n\t@a\n\nlab: env  ## open\n\t@b\n\ntest:\n\t@c\n"
    assert learner_makefile(text) == (
        "BIN := x\n\n.PHONY: help env lab engines images vllm clean\nhelp:  ## list\n\t@a\n\nlab: env  ## open\n\t@b\n"
    )
