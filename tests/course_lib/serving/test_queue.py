from __future__ import annotations

import shutil
import sys

import psutil
import pytest

from course_lib.errors import EngineError
from course_lib.serving.batch import job, queue
from course_lib.serving.errors import ServingError

MONTH, CHUNK = 3, 4_000  # 28,834 flights: eight chunks
needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
NO_REDIS = "no-such-redis-server"


@pytest.fixture(scope="module")
def plain(bundle, tmp_path_factory):
    return job.run(bundle, [MONTH], tmp_path_factory.mktemp("plain") / "scores.parquet").read()


@needs_redis
def test_workers_that_fail_and_die_still_give_the_same_answers_to_the_last_byte(bundle, plain, tmp_path):
    before = {child.pid for child in psutil.Process().children()}
    done = queue.run(bundle, [MONTH], tmp_path / "queue.parquet", trouble={1: "fail:2", 4: "die"})

    assert (done.broker, done.rows, done.note) == ("redis", len(plain), "")
    assert done.read().equals(plain)
    assert done.attempts[1] == 3  # two failures, and the one that went well
    assert len(done.attempts) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["queue.parquet"]
    assert {child.pid for child in psutil.Process().children()} <= before  # neither Redis nor a worker is left


@needs_redis
def test_a_dead_task_is_named_and_the_next_run_goes_on_where_the_job_was(bundle, plain, tmp_path):
    out = tmp_path / "queue.parquet"
    with pytest.raises(ServingError, match=r"1 of 8 chunks could not be scored: chunk 2 \(OSError: the disk was away"):
        queue.run(bundle, [MONTH], out, workers=1, trouble={2: "fail:99"})
    assert not out.exists()

    again = queue.run(bundle, [MONTH], out, server=NO_REDIS)
    assert again.attempts == (0, 0, 1, 0, 0, 0, 0, 0)  # only the dead one was scored again
    assert again.read().equals(plain)


def test_without_redis_celery_runs_the_tasks_here_and_says_so(bundle, plain, tmp_path):
    done = queue.run(bundle, [MONTH], tmp_path / "here.parquet", trouble={0: "fail:3", 2: "die"}, server=NO_REDIS)

    assert (done.broker, done.attempts[:2]) == ("none", (4, 1))
    assert done.note == "no-such-redis-server was not found: Celery ran the tasks in this process"
    assert done.read().equals(plain)


def test_parts_of_another_job_are_not_used(bundle, plain, tmp_path):
    out = tmp_path / "here.parquet"
    with pytest.raises(ServingError, match="chunk 1"):
        queue.run(bundle, [2], out, trouble={1: "fail:99"}, server=NO_REDIS)

    assert queue.run(bundle, [MONTH], out, server=NO_REDIS).read().equals(plain)


def test_a_bundle_that_is_broken_is_not_tried_again(tmp_path):
    with pytest.raises(ServingError, match=r"8 of 8 chunks could not be scored: chunk 0 \(.*no bundle"):
        queue.run(tmp_path / "no-bundle", [MONTH], tmp_path / "x.parquet", server=NO_REDIS)


@needs_redis
def test_tasks_that_take_too_long_are_named(bundle, tmp_path):
    with pytest.raises(ServingError, match=r"The chunks \[0, 1[\s\S]*not done in 0 s"):
        queue.run(bundle, [MONTH], tmp_path / "x.parquet", workers=1, timeout_s=0)


def test_without_celery_the_message_says_what_to_do(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(EngineError, match=r"Celery is not installed[\s\S]*serving\.batch\.run"):
        queue.run(bundle, [MONTH], tmp_path / "x.parquet")


def test_only_json_reaches_a_worker():
    from course_lib.serving.batch.tasks import app

    assert app.conf.accept_content == ["json"]
    assert app.conf.task_acks_late
