"""Who is who: keys are unique and last, and nobody ever gets the row of another."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, strategies as st

from autograder.grading.identity import people
from autograder.grading.identity.people import Claim, IdentityError, People, folder_name, same_name

NFC, NFD = unicodedata.normalize("NFC", "José"), unicodedata.normalize("NFD", "José")
# Names that a careless clean-up, a file system, or a spreadsheet would take for one.
ALIKE = [
    ("ann", "ann "), ("ann", " ann"), ("zoe", ".zoe"), ("zoe", "zoe."), ("zoe", "..zoe"), ("Ann", "ann"),
    ("ANN", "ann"),
    ("a/b", "a_b"), ("a:b", "a_b"), ("a*b", "a?b"), ("a|b", "a<b"), ("ann", "ann\u200b"), ("ann", "\u202eann"),
    ("ann", "ann\x00"), ("ann", "ann\x1b"), ("x" * 100, "x" * 101), ("x" * 300, "x" * 301), ("é" * 60, "é" * 61),
    ("..", "."), ("...", "_"), (" ", "  "), ("CON", "_CON"), ("con", "CON"), ("ß", "ss"), ("\ufb01", "fi"),
    ("①", "1"), ("\uff21nn", "Ann"), ("20231234", "20231255"), ("a b", "a\u00a0b"), ("👩\u200d🔬", "👩🔬"),
    ("a\udc80", "a\udc81"), ("İ", "i\u0307"),
]  # fmt: skip


def keys(people, *claims, **options):
    settled = people.settle([Claim(*claim) for claim in claims], **options)
    return {tuple(filter(None, claim)): person.key for claim, person in settled.people.items()}, settled.notes


@pytest.mark.parametrize(("one", "other"), ALIKE)
@pytest.mark.parametrize("later", [False, True])
def test_names_that_look_alike_are_two_people_with_folders_of_their_own(one, other, later):
    people = People()
    if later:
        keys(people, (one,))
    found, _ = keys(people, (one,), (other,))
    first, second = found[one,], found[other,]
    assert first.casefold() != second.casefold()
    for key in (first, second):
        assert key.isprintable()
        assert not set(key) & set('/\\:*?"<>|')
        assert key == key.strip(" .")
        assert len(key.encode()) < 200
    assert keys(people, (one,), (other,))[0] == found  # and again


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_a_key_does_not_depend_on_who_else_is_there_but_for_case(one, other):
    if one.casefold() != other.casefold():
        assert keys(People(), (one,), (other,))[0][one,] == keys(People(), (one,))[0][one,]


def test_two_unicode_forms_of_one_name_are_one_student_and_that_is_said():
    found, notes = keys(People(), (NFC,), (NFD,))
    assert found == {(NFC,): NFC, (NFD,): NFC}
    assert "2 Unicode forms" in notes[0]


def test_what_became_of_a_name_that_is_no_folder_is_said():
    found, notes = keys(People(), ("ann ",))
    assert found["ann ",].startswith("ann-")
    assert "'ann '" in notes[0]
    assert found["ann ",] in notes[0]


def test_people_of_one_name_are_kept_apart_by_their_numbers_and_that_is_said():
    found, notes = keys(People(), ("Jane", "1"), ("Jane", "2"), platform="Moodle")
    assert found == {("Jane", "1"): "Jane_1", ("Jane", "2"): "Jane_2"}
    assert notes[0] == "2 students are called 'Jane': their numbers tell them apart."
    assert not any("before" in note for note in notes)


@pytest.mark.parametrize(
    ("platform", "lasting"), [("Canvas", True), ("Moodle", False), ("Sakai", True), ("Gradescope", True)]
)
def test_a_second_person_of_a_name_gets_a_row_and_the_first_keeps_theirs(platform, lasting):
    people = People()
    assert keys(people, ("Jane", "1"), platform=platform, lasting=lasting)[0] == {("Jane", "1"): "Jane"}
    found, notes = keys(people, ("Jane", "1"), ("Jane", "2"), platform=platform, lasting=lasting)
    assert found == {("Jane", "1"): "Jane", ("Jane", "2"): "Jane_2"}
    assert any("keeps that row and its points" in note for note in notes)
    assert keys(people, ("Jane", "2"), platform=platform, lasting=lasting)[0] == {("Jane", "2"): "Jane_2"}


def test_a_second_person_who_comes_alone_gets_a_row_where_numbers_last():
    people = People()
    keys(people, ("Jane", "1"), platform="Canvas")
    found, notes = keys(people, ("Jane", "2"), platform="Canvas")
    assert found == {("Jane", "2"): "Jane_2"}
    assert any("keeps that row" in note for note in notes)


def test_where_numbers_change_with_the_assignment_a_single_name_is_the_same_person_and_that_is_said():
    people = People()
    keys(people, ("Jane", "1"), ("Bob", "2"), platform="Moodle", lasting=False)
    found, notes = keys(people, ("Jane", "11"), ("Bob", "12"), platform="Moodle", lasting=False)
    assert found == {("Jane", "11"): "Jane", ("Bob", "12"): "Bob"}
    assert any("2 got the rows of earlier runs by their names" in note for note in notes)


def test_where_numbers_change_two_of_a_name_cannot_be_told_and_nobody_gets_the_row_of_another():
    people = People()
    first = keys(people, ("Jane", "1"), ("Jane", "2"), platform="Moodle", lasting=False)[0]
    later, notes = keys(people, ("Jane", "11"), platform="Moodle", lasting=False)
    assert later["Jane", "11"] not in first.values()
    assert any("keeps that row" in note for note in notes)


@pytest.mark.parametrize("word", ["Participant", "Teilnehmerin", "Participante", "Deelnemer"])
def test_people_without_names_are_never_the_same_by_name(word):
    people = People()
    assert keys(people, (word, "1"), platform="Moodle", lasting=False)[0] == {(word, "1"): f"{word}_1"}
    assert keys(people, (word, "2"), platform="Moodle", lasting=False)[0] == {(word, "2"): f"{word}_2"}


def test_a_number_that_stands_beside_two_names_is_two_people_and_that_is_said():
    people = People()
    found, notes = keys(people, ("victim", "1"), ("eve", "1"), platform="Canvas")
    assert found == {("victim", "1"): "victim", ("eve", "1"): "eve"}
    assert any("Number 1 stands beside several names (eve, victim)" in note for note in notes)
    assert keys(people, ("victim", "1"), ("eve", "1"), platform="Canvas")[0] == found
    assert keys(people, ("victim", "1"), platform="Canvas")[0] == {("victim", "1"): "victim"}


def test_a_person_who_changes_their_name_keeps_the_row_and_that_is_said():
    people = People()
    keys(people, ("doejane", "1"), platform="Canvas")
    found, notes = keys(people, ("roejane", "1"), platform="Canvas")
    assert found == {("roejane", "1"): "doejane"}
    assert any("was 'doejane' and is 'roejane' now" in note for note in notes)


def test_a_row_without_a_number_is_found_again_by_name_when_a_platform_gives_one():
    people = People()
    people.listed(["doejane"])
    assert keys(people, ("doejane", "1"), platform="Canvas")[0] == {("doejane", "1"): "doejane"}
    assert keys(people, ("roejane", "1"), platform="Canvas")[0] == {("roejane", "1"): "doejane"}


def test_a_roster_finds_people_by_key_name_and_number_and_adds_nobody_twice():
    people = People()
    keys(people, ("Jane", "1"), ("Jane", "2"), ("Doe, Bob", "bdoe"), platform="Sakai")
    assert [p.key for p in people.listed(["bdoe"])] == ["Doe, Bob"]
    assert [p.key for p in people.listed(["Jane"])] == ["Jane_1", "Jane_2"]
    assert [p.key for p in people.listed(["Jane_2"])] == ["Jane_2"]
    assert [p.key for p in people.listed([NFD, NFC])] == [NFC]
    assert len(people.known) == 4


def test_the_people_of_a_run_are_there_in_the_next(tmp_path):
    people = People()
    before = keys(
        people, ("Jane", "1"), ("Jane", "2"), ("a\udc80", "3"), ("ann ", ""), platform="Moodle", lasting=False
    )[0]
    people.write(tmp_path)
    again = People.read(tmp_path)
    assert again.known == people.known
    claims = [("a\udc80", "3"), ("ann ", ""), ("Jane", "2")]
    assert {**before, **keys(again, *claims, platform="Moodle", lasting=False)[0]} == before


def test_a_damaged_list_of_people_stops_the_run(tmp_path):
    (tmp_path / "students.json").write_text("[{")
    with pytest.raises(IdentityError, match=r"students\.json"):
        People.read(tmp_path)


@pytest.mark.parametrize("platform", ["Canvas", "Moodle"])
def test_results_of_a_version_without_the_list_tell_who_is_who(tmp_path, platform):
    place = tmp_path / "results" / "Jane"
    place.mkdir(parents=True)
    (place / "01_tiny.json").write_text(json.dumps({"lms_id": "1"}))
    found, _ = keys(People.read(tmp_path), ("Jane", "2"), ("Jane", "1"), platform=platform)
    assert found == {("Jane", "1"): "Jane", ("Jane", "2"): "Jane_2"}


CLAIMS = [
    ("Jane", "1"),
    ("Jane", "2"),
    ("jane", "3"),
    ("Jane ", "4"),
    ("Bob", "5"),
    ("Jane", ""),
    ("jane", ""),
    ("Bob", ""),
]


@given(st.lists(st.lists(st.sampled_from(CLAIMS)), max_size=5))
def test_in_any_order_of_runs_no_two_people_share_a_key_and_nobody_changes_theirs(runs):
    people, seen = People(), {}
    for run in runs:
        found, _ = keys(people, *run, platform="Canvas")
        assert len(set(found.values())) == len({(same_name(claim[0]), claim[1:]) for claim in found})
        for claim, key in found.items():
            if len(claim) == 2:
                assert seen.setdefault(claim, key) == key
    assert len({person.key.casefold() for person in people.known}) == len(people.known)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("ann", "ann"),
        ("../x", "_x"),
        ("a/b", "a_b"),
        ("", "_"),
        ("...", "_"),
        ("\x1b[31mred", "[31mred"),
        ("é" * 300, "é" * 50),
    ],
)
def test_names_become_one_harmless_path_component(text, safe):
    assert folder_name(text) == safe


def test_the_doctest_of_folder_name_holds():
    import doctest

    assert doctest.testmod(people).failed == 0
