import pytest
from fastapi import FastAPI

from course_lib.serving import client, create_app
from course_lib.serving.errors import ServingError


def test_an_app_that_fails_to_start_is_reported_with_its_own_words():
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app):
        raise OSError("no such bundle")
        yield

    with pytest.raises(ServingError, match="no such bundle"):
        client.request(FastAPI(lifespan=lifespan), "GET", "/health")


def test_an_app_that_hangs_is_an_error_and_not_a_hanging_notebook():
    import asyncio

    app = FastAPI()

    @app.get("/slow")
    async def slow():
        await asyncio.sleep(60)

    with client.hosted(app, timeout_s=0.2) as call, pytest.raises(ServingError, match=r"within 0\.2 s"):
        call("GET", "/slow")


def test_answers_are_plain_data(bundle):
    answer = client.request(create_app(bundle), "GET", "/health")

    assert (answer.status, answer.body) == (200, {"status": "alive"})
    assert type(answer.headers) is dict


def test_the_desk_client_predicts_and_streams(service, flight):
    with client.Desk(service().url) as desk:
        one = desk.predict(flight)
        assert desk.ready()
        events = list(desk.stream([flight, flight]))
        with pytest.raises(ServingError, match=r"422.*weekday"):
            desk.predict(flight | {"weekday": 9})
        with pytest.raises(ServingError, match=r"422"):
            list(desk.stream([]))

    assert [event.data.get("late_probability") for event in events] == [one, one, None]


def test_the_desk_client_says_when_nobody_answers(flight):
    from course_lib.processes import free_port

    with client.Desk(f"http://127.0.0.1:{free_port()}") as desk:
        assert not desk.ready()
        with pytest.raises(ServingError, match="did not answer"):
            desk.predict(flight)
