"""Grading by hand, question by question: what is shown, what is stored, and that nothing of it is lost."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from nbformat.v4 import new_markdown_cell, new_output
from starlette.testclient import TestClient

from autograder.authoring.rubric import RubricItem, rubric_of
from autograder.grading.manual.answers import Answer, Given, PointsError, answers_to, read_points, reading
from autograder.grading.manual.page import cells_html, markdown_html
from autograder.grading.manual.questions import Question, answer_cells, read_questions
from autograder.grading.manual.server import grading_app
from tests.fixtures.small_class import SECOND, SmallClass, released
from tests.fixtures.tiny_class import ANSWER, NAME, tiny, write

TOKEN = "the-token"
CELL = "interview-1"
YES, NO = "✓ 3 of 3: how rare late flights are", "✗ 0 of 3: how rare late flights are"
RUBRIC = (RubricItem(3, "how rare late flights are"), RubricItem(1, "a metric that sees them"))


@pytest.fixture(scope="module")
def graded(tmp_path_factory) -> Path:
    """Three who answered, one who did not, one whose file is broken."""
    room = SmallClass(tmp_path_factory.mktemp("manual"))
    for student in ("ann", "ben", "cem"):
        room.hand_in(student, answer=f"{ANSWER} So says {student}.")
    write(room.room, f"dora/{NAME}", tiny().learner, name=f"{NAME}.ipynb")
    write(room.room, f"emil/{NAME}", "{ no JSON", name=f"{NAME}.ipynb")
    room.grade()
    return room.room.parent


@pytest.fixture
def room(graded, tmp_path) -> SmallClass:
    """The same class in a folder of its own."""
    return SmallClass(shutil.copytree(graded, tmp_path / "room"))


def client(room: SmallClass, *, base: str = "http://127.0.0.1:8100", signed_in: bool = True) -> TestClient:
    there = TestClient(grading_app(room.out, TOKEN), base_url=base, follow_redirects=False)
    if signed_in:
        assert there.get("/", params={"token": TOKEN}).status_code == 303
    return there


def answers(room: SmallClass, cell: str = CELL, name: str = NAME) -> dict[str, Answer]:
    question = read_questions(room.out)[name, cell]
    with reading(room.out) as book:
        return {answer.student: answer for answer in answers_to(book, question, room.out)}


def address(room: SmallClass, student: str, cell: str = CELL, name: str = NAME) -> str:
    return f"/{name}/{cell}/{answers(room, cell, name)[student].id}"


def text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.split("<body>")[1]))


def fields(page: str) -> dict[str, str]:
    """What the form on a page sends when nothing is touched."""
    sent = {}
    for tag in re.findall(r"<input [^>]+>", page):
        name, value = re.search(r'name="([^"]+)"', tag)[1], re.search(r'value="([^"]*)"', tag)
        if 'type="checkbox"' not in tag or " checked" in tag:
            sent[name] = html.unescape(value[1]) if value else "on"
    return sent | {"comment": html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.S)[1])}


def save(room: SmallClass, student: str, there: TestClient | None = None, **changes: str | None) -> httpx.Response:
    """Open the answer of a student, change the form, and send it; ``None`` unticks."""
    there = there or client(room)
    place = address(room, student)
    form = fields(there.get(place).text) | {"do": "save"} | changes
    return there.post(place, data={name: value for name, value in form.items() if value is not None})


def test_the_overview_counts_what_waits_and_leads_to_the_first(room):
    there = client(room)
    page = there.get("/").text
    assert "Interview question" in page
    assert "Why is accuracy a poor metric for late flights?" in page
    assert re.search(r'<td class="n">3</td><td class="n">3</td>', page)
    (first,) = re.findall(rf'href="(/{NAME}/{CELL}/\w+)"', page)
    assert "answer 1 of 3" in text(there.get(first).text)


def test_the_answer_comes_first_then_rubric_question_and_reference(room):
    page = client(room).get(address(room, "ben")).text
    shown = text(page)
    order = [shown.index(words) for words in (
        "So says ben.", "how rare late flights are", "a metric that sees them",
        "Points, of 4",
        "Comment to the learner", "The question", "The reference answer", "Because most flights are on time.\n",
        "The answer as it was typed", "Who wrote it",
    )]  # fmt: skip
    assert order == sorted(order)
    assert "So says ann" not in shown
    assert f"autograded/ben/{NAME}/{NAME}.ipynb" in shown
    assert shown[: shown.index("Who wrote it")].count("ben") == 2  # in the answer's own words
    assert "Why is accuracy a poor metric for late flights?" in shown[: shown.index("The answer")]
    assert "BEGIN SOLUTION" not in shown
    assert "<script" not in page
    assert "http" not in re.sub(r'http-equiv="[^"]+"', "", page)  # nothing from anywhere


def test_ticked_items_points_and_words_are_in_the_gradebook_and_in_everything_made_of_it(room):
    done = save(room, "ann", **{"item-0": "on", "comment": "Well put.\r\nNow say it shorter."})
    assert done.status_code == 303
    assert (answers(room)["ann"].given, answers(room)["ann"].waits) == (3, False)
    assert room.nbgrader_says("ann") == (10, 0)
    comment = f"{YES}\n✗ 0 of 1: a metric that sees them\nWell put.\nNow say it shorter."
    assert answers(room)["ann"].comment == comment
    room.export()
    assert room.total("ann") == 10
    assert room.waiting() == {("ben", NAME, CELL), ("cem", NAME, CELL)}
    for line in comment.splitlines():
        assert line in room.feedback("ann", "html")
        assert line in room.feedback("ann")
    room.grade()
    assert (room.total("ann"), answers(room)["ann"].comment) == (10, comment)


def test_what_was_given_is_there_again_and_saving_it_again_changes_nothing(room):
    save(room, "ann", **{"item-0": "on", "item-1": "on", "comment": "Yes."})
    before = answers(room)["ann"]
    page = client(room).get(address(room, "ann")).text
    assert fields(page) == {
        "item-0": "on", "item-1": "on", "points": "", "comment": "Yes.", "seen": before.seen, "token": TOKEN,
    }  # fmt: skip
    assert "Now 4 of 4 points." in text(page)
    assert save(room, "ann").status_code == 303
    assert answers(room)["ann"] == before
    save(room, "ann", **{"item-1": None})  # the sum follows what is ticked
    assert answers(room)["ann"].given == 3


@pytest.mark.parametrize(
    ("form", "points", "comment"),
    [
        ({"points": " 2,5 "}, 2.5, ""),
        ({"points": "0"}, 0, f"{NO}\n✗ 0 of 1: a metric that sees them"),
        ({"points": "3.5", "item-0": "on"}, 3.5, f"{YES}\n✗ 0 of 1: a metric that sees them"),
        ({"do": "full"}, 4, f"{YES}\n✓ 1 of 1: a metric that sees them"),
        ({"do": "none", "item-0": "on"}, 0, f"{NO}\n✗ 0 of 1: a metric that sees them"),
    ],
)  # fmt: skip
def test_points_come_from_the_field_the_items_or_a_button(room, form, points, comment):
    assert save(room, "cem", **form).status_code == 303
    assert (answers(room)["cem"].given, answers(room)["cem"].comment) == (points, comment)
    assert save(room, "cem").status_code == 303  # as the page shows it again
    assert (answers(room)["cem"].given, answers(room)["cem"].comment) == (points, comment)


@pytest.mark.parametrize("points", ["", "5", "two"])
def test_what_are_no_points_is_refused_and_what_was_typed_is_kept(room, points):
    there = client(room)
    done = save(room, "ann", there, points=points, comment="My long comment.")
    assert done.status_code == 409
    assert "Nothing was saved." in done.text
    assert fields(done.text)["comment"] == "My long comment."
    assert fields(done.text)["points"] == points
    assert answers(room)["ann"].waits
    assert answers(room)["ann"].comment == ""


def test_saving_leads_to_the_next_that_waits_and_in_the_end_to_the_overview(room):
    there = client(room)
    order = list(answers(room).values())
    begun = order[1]
    place = f"/{NAME}/{CELL}/{begun.id}"
    seen = []
    while place != "/":
        seen.append(place.rpartition("/")[2])
        form = fields(there.get(place).text) | {"points": "1", "do": "save"}
        place = there.post(place, data=form).headers["location"]
    assert seen == [order[k].id for k in (1, 2, 0)]  # and from the top again
    assert "No answer waits." in text(there.get("/").text)


def test_two_graders_at_one_answer_do_not_overwrite_each_other(room):
    mine, theirs = client(room), client(room)
    place = address(room, "ben")
    form = fields(mine.get(place).text) | {"points": "1", "comment": "mine", "do": "save"}
    assert save(room, "ben", theirs, points="3", comment="theirs").status_code == 303
    refused = mine.post(place, data=form)
    assert refused.status_code == 409
    assert "Somebody else graded this answer" in refused.text
    assert (answers(room)["ben"].given, answers(room)["ben"].comment) == (3, "theirs")
    again = mine.post(place, data=fields(refused.text) | {"do": "save"})  # having seen it, and meaning it
    assert again.status_code == 303
    assert (answers(room)["ben"].given, answers(room)["ben"].comment) == (1, "mine")


def test_points_are_given_as_soon_as_another_grader_has_written(room):
    there, lock = client(room), FileLock(room.out / ".grading.lock", thread_local=False)
    lock.acquire()
    saved: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: saved.append(save(room, "ann", there, points="2")))
    thread.start()
    assert answers(room)["ann"].waits
    lock.release()
    thread.join()
    assert saved[0].status_code == 303
    assert answers(room)["ann"].given == 2


def test_while_another_grader_writes_for_long_it_says_so_and_keeps_what_was_typed(room, monkeypatch):
    monkeypatch.setattr("autograder.grading.manual.answers._WAIT", 0)
    with FileLock(room.out / ".grading.lock"):
        done = save(room, "ann", points="2", comment="kept")
    assert done.status_code == 409
    assert "Another grader is writing" in done.text
    assert (fields(done.text)["points"], fields(done.text)["comment"]) == ("2", "kept")


def test_who_wrote_nothing_whose_file_is_broken_and_who_left_is_not_to_be_graded(room):
    assert set(answers(room)) == {"ann", "ben", "cem"}
    for path in (room.room / "cem").rglob("*"):
        if path.is_file():
            path.unlink()
    (room.room / "cem" / NAME).rmdir()
    (room.room / "cem").rmdir()
    room.grade()
    assert set(answers(room)) == {"ann", "ben"}


def test_an_answer_that_changed_waits_again_with_what_was_given(room):
    save(room, "ann", points="2", comment="So far.")
    room.hand_in("ann", answer="Quite another answer.")
    room.grade()
    page = client(room).get(address(room, "ann")).text
    assert "Quite another answer." in page
    assert "Now 2 of 4 points; it waits for another look" in text(page)
    assert fields(page)["points"] == "2"
    assert fields(page)["comment"] == "So far."
    assert save(room, "ann").status_code == 303
    assert not answers(room)["ann"].waits


def test_a_file_that_broke_after_it_was_graded_says_why_there_is_no_answer(room):
    save(room, "ann", points="2")
    write(room.room, f"ann/{NAME}", "{ no JSON", name=f"{NAME}.ipynb")
    room.grade()
    shown = text(client(room).get(address(room, "ann")).text)
    assert "There is nothing to show" in shown
    assert "JSON" in shown
    assert "Write your answer" not in shown


def test_points_by_hand_for_a_check_that_changed_are_looked_at_on_the_same_page(room):
    room.give("ann", "hidden-1-2", 2.5)
    assert "hidden-1-2" not in client(room).get("/").text
    room.hand_in("ann", late="def late(minutes):\n    return [delay > 15 for delay in minutes]")
    room.grade()
    there = client(room)
    assert "hidden-1-2" in there.get("/").text
    page = there.get(address(room, "ann", "hidden-1-2")).text
    assert "delay &gt; 15 for delay in minutes" in page
    assert "Exercise 1.2 · Late flights" in page
    assert "Points, of 3" in text(page)
    form = fields(page) | {"points": "1", "comment": "A limit belongs to it.", "do": "save"}
    assert there.post(address(room, "ann", "hidden-1-2"), data=form).status_code == 303
    room.export()
    assert "A limit belongs to it." in room.feedback("ann")
    assert "hidden-1-2" not in there.get("/").text


def test_notebooks_are_apart(tmp_path):
    asks = "# ## Another question\n#\n# Why?\n#\n# | Points | For |\n# |---|---|\n# | 4 | a reason |\n"
    text_ = released().source
    assert text_ is not None
    old = "# ## Interview question\n"
    second = released((old, asks + "#\n" + "# ### More\n"), name=SECOND)
    room = SmallClass(tmp_path, released(), second)
    for name in (NAME, SECOND):
        room.hand_in("ann", name=name, answer=f"About {name}.")
    room.grade()
    there = client(room)
    for name, other in ((NAME, SECOND), (SECOND, NAME)):
        page = there.get(address(room, "ann", name=name)).text
        assert f"About {name}." in page
        assert f"About {other}." not in page
    assert "Another question" in there.get("/").text
    done = there.post(
        address(room, "ann", name=SECOND),
        data=fields(there.get(address(room, "ann", name=SECOND)).text) | {"item-0": "on", "do": "save"},
    )
    assert done.status_code == 303
    assert (answers(room, name=SECOND)["ann"].given, answers(room)["ann"].given) == (4, None)


# ---- who may


def test_without_the_token_nothing_is_shown(room):
    there = client(room, signed_in=False)
    for path in ("/", address(room, "ann"), f"/{NAME}/{CELL}/x", "/?token=wrong", "/?token=", "/?token=ä"):
        answer = there.get(path)
        assert answer.status_code == 403
        assert NAME not in answer.text
        assert "token" in answer.text
    there.cookies.set("grading-8100", "guessed")
    assert there.get("/").status_code == 403


def test_a_form_of_another_page_and_another_host_are_refused(room):
    there = client(room)
    place = address(room, "ann")
    form = fields(there.get(place).text) | {"points": "4", "do": "save"}
    for token in ("", "guessed"):
        assert there.post(place, data=form | {"token": token}).status_code == 403
    assert client(room, signed_in=False).post(place, data=form).status_code == 403
    rebound = there.get(place, headers={"Host": "evil.example:8100"})
    assert rebound.status_code == 400
    assert answers(room)["ann"].waits


def test_every_page_forbids_scripts_frames_and_what_would_be_fetched(room):
    there = client(room)
    for path in ("/", address(room, "ann"), "/nothing", f"/{NAME}/{CELL}/nobody"):
        policy = there.get(path).headers["content-security-policy"]
        for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert rule in policy
        assert "script-src" not in policy
    assert there.get("/", params={"token": TOKEN}).headers["set-cookie"].lower().count("samesite=strict") == 1


def test_what_is_not_there_is_not_found(room):
    there = client(room)
    for path in (f"/{NAME}/{CELL}/nobody", f"/{NAME}/nothing/x", "/../x/y", "/*/interview-1/x", f"/{NAME}/ex-1-1/x"):
        assert there.get(path).status_code == 404


def test_a_form_of_megabytes_is_refused(room):
    assert save(room, "ann", points="1", comment="x" * 300_000).status_code == 413
    assert answers(room)["ann"].waits


# ---- pieces


@pytest.mark.parametrize(
    ("markdown", "items"),
    [
        ("", ()),
        ("| Points | For |\n|---|---|\n", ()),
        ("| A | B |\n|---|---|\n| 1 | x |\n", ()),
        ("Text.\n\n| Point | For |\n|---|---|\n| 1 | x |", (RubricItem(1, "x"),)),
        ("| points | For | Why |\n| ---: | :---: | --- |\n| 0.25 | x | y |\nAfter.", (RubricItem(0.25, "x | y"),)),
        (
            "| Points | For |\n|---|---|\n| 1 | a \\| b |\n| many | no |\n\n| Points | For |\n|---|---|\n| 9 | z |\n",
            (RubricItem(1, "a | b"),),
        ),
    ],
)
def test_a_rubric_is_the_first_table_of_points(markdown, items):
    assert rubric_of(markdown) == items


def test_the_answer_to_a_task_is_what_stands_below_it(tmp_path):
    task = {
        "grade": False,
        "grade_id": "t",
        "locked": True,
        "points": 2,
        "schema_version": 3,
        "solution": False,
        "task": True,
    }
    cells = [
        new_markdown_cell("# Draw\n"),
        new_markdown_cell(
            "Draw it.\n### BEGIN MARK SCHEME\n| Points | For |\n|---|---|\n| 2 | lines |\n### END MARK SCHEME",
            metadata={"nbgrader": task},
        ),
    ]  # fmt: skip
    source = tmp_path / "source" / "t" / "t.ipynb"
    source.parent.mkdir(parents=True)
    import nbformat

    nbformat.write(nbformat.v4.new_notebook(cells=cells), source)
    question = read_questions(tmp_path)["t", "t"]
    assert question.rubric == (RubricItem(2, "lines"),)
    assert "MARK SCHEME" not in question.asked
    assert question.gist == "Draw it."
    assert question.title == "Draw"
    mine = [new_markdown_cell("Mine"), new_markdown_cell("and mine")]
    given = new_markdown_cell("released", metadata={"nbgrader": task | {"grade_id": "u", "task": False}})
    copy = nbformat.v4.new_notebook(cells=[*cells, *mine, given, new_markdown_cell("no more")])
    assert [cell.source for cell in answer_cells(copy, question)] == ["Mine", "and mine"]
    copy.cells = cells
    assert answer_cells(copy, question) == []


def test_a_comment_about_another_rubric_stays_as_it_is():
    answer = Answer("i", "ann", 4, None, 2.0, False, "✓ 1 of 1: an old item\nWell put.")
    given = Given.of(answer, RUBRIC)
    assert given == Given(frozenset(), 2.0, answer.comment)
    assert Given.of(answer, ()) == given


@pytest.mark.parametrize(
    ("asked", "gist"),
    [
        ("", ""),
        ("## Why", ""),
        ("## Why\n\n> *Said* so\n> twice?\n\nWrite.", "*Said* so twice?"),
        ("Long. " * 60, ("Long. " * 60)[:160] + " … (199 more characters)"),
    ],
)
def test_the_gist_is_the_first_paragraph(asked, gist):
    assert Question("n", ("n", "n"), "c", "c", True, asked, (), "", False).gist == gist


@pytest.mark.parametrize(
    "mark", ["[", "![", "[a](", "**a ", "`a``", "> - ", "|a\n|-\n", "<!--", "&#", "~~a ", "[a]: b\n"]
)
def test_text_that_is_made_to_be_hard_to_read_is_shown(mark):
    text_ = mark * (5_000 // len(mark))
    shown = html.unescape(re.sub(r"<[^>]+>", "", markdown_html(text_)))
    assert len(shown) < 20 * len(text_)


def test_what_markdown_leaves_out_can_be_read_as_it_was_typed(room, tmp_path):
    deep = "> " * 60 + "the point\n\n[note]: http://example.org 'a remark'\n"
    room.hand_in("ann", answer=deep)
    room.grade()
    page = client(room).get(address(room, "ann")).text
    assert "the point" not in markdown_html(deep)
    typed = html.unescape(re.search(r"as it was typed</summary><pre>(.*?)</pre>", page, re.S)[1])
    assert typed.replace("\u200b", "").strip() == deep.strip()


def test_points_are_read_from_zero_to_the_maximum():
    assert [read_points(text, 2) for text in ("", " ", "0", "2", "1,5", "2.0", "٢")] == [None, None, 0, 2, 1.5, 2, 2]


@pytest.mark.parametrize(
    "typed", ["5", "-1", "-0.001", "nan", "inf", "-inf", "1e9", "two", "٣x", "4.0001", "1 2", "0x1"]
)
def test_what_is_no_number_of_points_is_refused(typed):
    with pytest.raises(PointsError, match=r"from 0 to 4"):
        read_points(typed, 4)


PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_markdown_is_shown_without_html_and_with_attached_pictures_alone():
    page = markdown_html(
        "## Why\n\n**Few** `a<b`\n\n<b onclick='x'>no</b>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
        "\n[web](https://example.org) [js](javascript:alert(1)) "
        "![mine](attachment:a.png) ![theirs](http://x/y.png) $a<b$",
        {"a.png": {"image/png": PICTURE}},
    )
    for wanted in (
        '<p class="heading">Why</p>', "<strong>Few</strong>", "<code>a&lt;b</code>", "&lt;b onclick=", "<td>2</td>",
        f"data:image/png;base64,{PICTURE}", 'rel="noopener noreferrer nofollow"', "$a&lt;b$",
        "[js](javascript:alert(1))",
    ):  # fmt: skip
        assert wanted in page, wanted
    assert "http://x/" not in page
    assert "<h2" not in page


def test_an_answer_of_code_shows_what_it_gave():
    cell = new_markdown_cell("x")
    cell.cell_type, cell.source = "code", "plot() # <b>"
    cell.outputs = [
        new_output("stream", text="5 < 6\n"),
        new_output("display_data", data={"image/png": PICTURE, "text/plain": "<Figure>"}),
        new_output("execute_result", data={"text/plain": "<Figure>", "text/html": "<b>x</b>"}),
        new_output("error", ename="E", evalue="<i>"),
    ]
    page = cells_html([cell])
    assert page.count("&lt;Figure&gt;") == 1
    for wanted in ("plot() # &lt;b&gt;", "5 &lt; 6", f"base64,{PICTURE}", "E: &lt;i&gt;"):
        assert wanted in page


# ---- the command


def test_the_command_says_where_the_page_is_and_serves_it_on_this_machine_alone(room):
    command = [sys.executable, "-u", "-m", "autograder", "manual", str(room.out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        url = re.fullmatch(r"Open (http://127\.0\.0\.1:(\d+)/\?token=[\w-]{20,})\n", said)
        assert url, said + (process.stderr.read() if process.poll() else "")
        with httpx.Client(follow_redirects=True, timeout=60) as there:
            assert "Interview question" in there.get(url[1]).text
        listening = Path("/proc/net/tcp").read_text()
        assert f"0100007F:{int(url[2]):04X} 00000000:0000 0A" in listening
    finally:
        process.send_signal(2)
        rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest[1]


@pytest.mark.parametrize("what", ["nothing", "no gradebook"])
def test_a_folder_without_grades_is_refused(room, tmp_path, what):
    from autograder.grading.manual.command import serve
    from course_lib.errors import CourseError

    folder = tmp_path / "other" if what == "nothing" else room.out
    if what == "no gradebook":
        (room.out / "gradebook.db").unlink()
    with pytest.raises(CourseError, match=r"Nothing has been graded|There is no gradebook"):
        serve(folder)
    assert not (folder / "gradebook.db").exists()


def test_a_port_in_use_is_refused_by_name(room):
    import socket

    from autograder.grading.manual.command import serve
    from course_lib.errors import CourseError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CourseError, match="Port"):
            serve(room.out, port=taken.getsockname()[1])
    with pytest.raises(CourseError, match="Port 70000"):
        serve(room.out, port=70000)
