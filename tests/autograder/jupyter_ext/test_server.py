"""`make lab`, as a learner types it: the welcome page is served, twice at once, to those who may see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from autograder.jupyter_ext import CONFIG
from course_lib import progress

ROOT = Path(__file__).parents[3]
TOKEN = "lab-test"


def make_lab(stack, home, base_url="/"):
    """Start ``make lab`` in a folder of its own; return a client once it says where it listens."""
    (home / "course" / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "01_mlops_overview.ipynb", home / "course" / "notebooks")
    options = f"--no-browser --allow-root --IdentityProvider.token={TOKEN} --ServerApp.root_dir={home / 'course'}"
    options += f" --ServerApp.base_url={base_url}"
    folders = {name: str(home / name) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    folders["JUPYTERLAB_WORKSPACES_DIR"] = str(home / "workspaces")
    log = stack.enter_context((home / "log").open("w"))
    process = subprocess.Popen(
        ["make", "-s", "lab", f"ARGS={options}", f"PYTHON={sys.executable}"],
        cwd=ROOT, env=os.environ | folders, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    stack.callback(_stop, process, home / "JUPYTER_RUNTIME_DIR")
    return process


def wait_for(process, home):
    runtime = home / "JUPYTER_RUNTIME_DIR"
    while not (started := list(runtime.glob("jpserver-*.json"))):
        assert process.poll() is None, (home / "log").read_text()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    url = json.loads(started[0].read_text())["url"].replace("localhost", "127.0.0.1")
    return httpx.Client(base_url=url, timeout=120, headers={"Authorization": f"token {TOKEN}"})


def _stop(process, runtime):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    """Two servers, started at the same moment, and the folder of each; the second is below a path, as on Binder."""
    with ExitStack() as stack:
        homes = [tmp_path_factory.mktemp("home") for _ in range(2)]
        processes = [make_lab(stack, home, url) for home, url in zip(homes, ("/", "/user/ann/"), strict=True)]
        yield [
            (stack.enter_context(wait_for(process, home)), home) for process, home in zip(processes, homes, strict=True)
        ]


@pytest.fixture
def lab(labs):
    return labs[0][0]


@pytest.fixture
def notebooks(labs):
    return labs[0][1] / "course" / "notebooks"


def test_two_learners_on_one_machine_have_a_page_and_a_port_each(labs):
    (one, first), (other, _) = labs
    assert one.base_url.port != other.base_url.port
    done = progress.Outcome(exercise="1.1", status="passed", points=2.0, at=1000.0)
    assert progress.record(done, first / "course" / "notebooks" / progress.FILE)
    passed = [client.get("course/api/progress").json()["notebooks"][0]["passed"] for client in (one, other)]
    (first / "course" / "notebooks" / progress.FILE).unlink()

    assert passed == [1, 0]


def test_jupyterlab_opens_on_the_page_and_the_page_needs_nothing_from_elsewhere(lab):
    assert lab.get("").headers["location"].startswith("/course/")
    page = lab.get("course/")
    assert page.headers["content-type"].startswith("text/html")
    for name in ("welcome.css", "welcome.js", "icon.svg"):
        assert name in page.text
        found = lab.get(f"course/{name}")
        assert found.status_code == 200
        assert "https://" not in found.text
    assert lab.get("course").headers["location"] == "/course/"


def test_below_a_path_the_page_the_notebooks_and_the_help_menu_are_found(labs):
    client = labs[1][0]
    assert client.base_url.path == "/user/ann/"
    assert client.get("").headers["location"].startswith("/user/ann/course/")
    answer = client.get("course/api/progress").json()
    assert answer["next"]["url"] == "/user/ann/lab/tree/notebooks/01_mlops_overview.ipynb"
    for (lab, _), url in zip(labs, ("/course/", "/user/ann/course/"), strict=True):
        menus = lab.get("lab/api/settings/@jupyterlab/mainmenu-extension:plugin").json()["schema"]["properties"][
            "menus"
        ]
        items = [item for menu in menus["default"] if menu["id"] == "jp-mainmenu-help" for item in menu["items"]]
        assert url in [item.get("args", {}).get("url") for item in items]


def test_what_is_no_file_of_the_page_is_not_served(lab):
    for name in ("..%2foverview.py", "__init__.py", "welcome.html", "api/secrets"):
        assert lab.get(f"course/{name}").status_code == 404


def test_only_who_may_use_the_server_sees_the_progress(lab):
    for name in ("course/", "course/api/progress", "course/api/engines"):
        answer = httpx.get(f"{lab.base_url}{name}", timeout=60)
        assert answer.status_code in {302, 403}


def test_the_progress_names_each_notebook_where_it_opens_and_where_it_is_kept(lab, notebooks):
    answer = lab.get("course/api/progress").json()

    assert len(answer["notebooks"]) == 9
    assert answer["notebooks"][0]["url"] == "/lab/tree/notebooks/01_mlops_overview.ipynb"
    assert answer["notebooks"][1]["url"] is None
    assert answer["next"]["url"] == answer["notebooks"][0]["url"]
    assert answer["kept_in"] == progress.FILE
    assert not (notebooks / progress.FILE).exists()  # looking leaves no trace


def test_the_engines_are_named_with_their_version_or_what_happens_without(lab):
    engines = lab.get("course/api/engines").json()["engines"]

    assert {"name", "version", "used_for", "without"} == set(engines[0])
    assert next(one for one in engines if one["name"] == "scikit-learn")["version"]


def test_nbgraders_validation_is_there_and_its_instructors_pages_are_not(lab):
    assert lab.get("nbgrader_version", params={"version": "0"}).json()["success"] is False
    assert lab.get("formgrader").status_code == 404
    config = json.loads(
        lab.get("lab").text.partition('id="jupyter-config-data" type="application/json">')[2].partition("</script>")[0]
    )
    assert "@jupyter/nbgrader:formgrader" in config["disabledExtensions"]
    assert "@jupyter/nbgrader:validate-assignment" not in config["disabledExtensions"]


def test_the_settings_that_are_shipped_are_valid(lab):
    overrides = json.loads((CONFIG / "labconfig" / "default_setting_overrides.json").read_text())
    import jsonschema

    for name, values in overrides.items():
        found = lab.get(f"lab/api/settings/{name}").json()
        jsonschema.validate(values, found["schema"])
