import pytest

from course_lib import data, features, processes
from course_lib.errors import EngineError
from course_lib.serving import Settings, batch, create_app
from course_lib.serving.client import hosted
from course_lib.serving.errors import ServingError

MONTH = 3


@pytest.fixture(scope="module")
def month():
    return data.flights([MONTH])


@pytest.fixture(scope="module")
def plain(bundle, tmp_path_factory):
    return batch.run(bundle, [MONTH], tmp_path_factory.mktemp("plain") / "scores.parquet").read()


def test_a_month_scored_online_is_the_month_scored_in_batch_to_the_last_digit(bundle, month, plain):
    flights = batch.flights_to_json(month)
    # 500 flights at once share this one event loop with their callers: on a busy machine that takes its second.
    with hosted(create_app(bundle, Settings(deadline_s=60))) as call:
        assert call.until(200, "/ready").status == 200
        online = []
        for begin in range(0, len(flights), 1000):
            bulk = call("POST", "/predict/batch", {"flights": flights[begin : begin + 1000]})
            online += bulk.body["late_probabilities"]
        single = call.at_once("POST", "/predict", flights[:500])

    assert len(online) == len(month) > 20_000
    assert online == plain["late_probability"].tolist()
    assert [answer.body["late_probability"] for answer in single] == online[:500]
    assert plain["flight_id"].tolist() == month["flight_id"].tolist()


def test_a_month_scored_on_ray_is_the_same_to_the_last_byte(bundle, plain, tmp_path):
    pytest.importorskip("ray")
    with batch.start(bundle, [MONTH], tmp_path / "ray.parquet", engine="ray") as job:
        done = job.result(timeout_s=240)

    assert (done.engine, done.rows) == ("ray", len(plain))
    assert done.read().equals(plain)


def test_the_size_of_the_chunks_does_not_matter(bundle, plain, tmp_path):
    odd = batch.run(bundle, [MONTH], tmp_path / "odd.parquet", chunk_rows=777)

    assert odd.read().equals(plain)


def test_a_job_that_fails_leaves_the_last_good_file(bundle, tmp_path):
    out = tmp_path / "scores.parquet"
    out.write_bytes(b"the last good file")

    with batch.start(tmp_path / "no-bundle", [MONTH], out) as job, pytest.raises(ServingError, match="no bundle"):
        job.result()

    assert out.read_bytes() == b"the last good file"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_job_that_is_not_waited_for_is_stopped(bundle, tmp_path):
    with batch.start(bundle, [MONTH], tmp_path / "scores.parquet") as job:
        pass

    assert job._process.poll() is not None


def test_without_ray_the_message_says_what_to_do(bundle, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match="engine='plain'"):
        batch.run(bundle, [MONTH], tmp_path / "scores.parquet", engine="ray")

    instead = batch.run(bundle, [MONTH], tmp_path / "scores.parquet", engine="auto")
    assert (instead.engine, instead.note) == ("plain", "Ray is not installed.")


def test_flights_become_json_that_the_api_accepts(month):
    from course_lib.serving.api.schemas import Flight

    rows = batch.flights_to_json(month)

    assert all(tuple(row) == features.NAMES for row in rows[:10])
    for row in rows[::500]:
        Flight.model_validate(row)


def test_a_notebook_that_fails_leaves_no_job_and_no_server_behind(bundle, tmp_path):
    import subprocess
    import sys

    import psutil

    program = """
import sys
from course_lib import processes
from course_lib.serving import batch
bundle, out = sys.argv[1:]
port = processes.free_port()
command = [sys.executable, "-m", "course_lib.serving", "--bundle", bundle, "--port", str(port)]
server = processes.Server("desk", command, port=port, ready_path="/ready").start()
job = batch.start(bundle, list(range(1, 13)), out, engine="ray")
print(server.pid, job._process.pid, port, flush=True)
1 / 0
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle), str(tmp_path / "x.parquet")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    server, job, port = map(int, done.stdout.split())

    assert "ZeroDivisionError" in done.stderr
    assert not psutil.pid_exists(server)
    assert not psutil.pid_exists(job)
    processes.require_free(port)
