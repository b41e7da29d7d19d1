"""Rosters: tables and lists as spreadsheets write them, names exactly as they stand, refusals that say what to do."""

from __future__ import annotations

import pytest

from autograder.grading.identity.people import Claim, People
from autograder.grading.identity.roster import read_roster
from autograder.grading.options import GradingError
from tests.fixtures.small_class import SmallClass


def roster(folder, data: str | bytes, name: str = "class.csv"):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_roster(path)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("student\nann\n", ("ann",)),
        ("section,student\n1,Doe\n1,Roe\n", ("Doe", "Roe")),
        ("student,section\nann,1\nben,2\n", ("ann", "ben")),
        ("\ufeffstudent,section\r\nann,1\r\nben,2\r\n", ("ann", "ben")),
        ("student;section\nann;1\nben;2\n", ("ann", "ben")),
        ("\ufeffsection;student\r\n1;Doe, Jane\r\n", ("Doe, Jane",)),
        ("section\tstudent\n1\tann\n", ("ann",)),
        ('"section","student"\n"1","Doe, Jane"\n', ("Doe, Jane",)),
        (" Student , section\nann,1\n", ("ann",)),
        ("student,section\nann,1\n\n\nben,2", ("ann", "ben")),
        ("student,section\rann,1\rben,2\r", ("ann", "ben")),
        ("student,section\n,1\n  ,2\nann,3\n", ("ann",)),
        ("student\n李明\nMüller, Jörg\n", ("李明", "Müller")),  # parted by commas: only the first field
        ("student\na\u2028b\n", ("a\u2028b",)),
    ],
)
def test_a_table_gives_its_column(tmp_path, data, names):
    assert roster(tmp_path, data) == (names, ())


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("ann\n\nben\n", ("ann", "ben")),
        ("\ufeffann\r\nben\r\n", ("ann", "ben")),
        ("Doe, Jane\nRoe, Ben", ("Doe, Jane", "Roe, Ben")),
        (" ann\nben \n", (" ann", "ben ")),
    ],
)
def test_a_list_gives_its_lines(tmp_path, data, names):
    assert roster(tmp_path, data, "class.txt") == (names, ())


@pytest.mark.parametrize(
    ("data", "names", "said"),
    [
        ("student\nann\nben\nann\nann\n", ("ann", "ben"), "'ann'"),
        ("student\nann\nben\nann\nben\n", ("ann", "ben"), "'ann', 'ben'"),
        ("student\n" + "".join(f"{c}\n{c}\n" for c in "abcdefg"), tuple("abcdefg"), "'e' and 2 more"),
    ],
)
def test_somebody_who_stands_there_twice_gets_one_row_and_it_is_said(tmp_path, data, names, said):
    found, notes = roster(tmp_path, data)
    assert found == names
    assert len(notes) == 1
    assert f"{said} more than once: one row each" in notes[0]


@pytest.mark.parametrize(
    ("data", "name", "happened", "next_step"),
    [
        ("", "class.csv", "names nobody", "check the file"),
        ("", "class.txt", "names nobody", "check the file"),
        ("student,section\n", "class.csv", "names nobody", "check the file"),
        ("\n \n\n", "class.txt", "names nobody", "check the file"),
        ("name,section\nann,1\n", "class.csv", "no column 'student'. Its first line is 'name,section'", "rename"),
        ("ann\nben\n", "class.csv", "no column 'student'. Its first line is 'ann'", "save the names alone"),
        ("students;section\nann;1\n", "CLASS.CSV", "no column 'student'", "rename"),
        ("section,student\n1,ann\n2\n", "class.csv", "line 3 ends before the column 'student'", "complete"),
        ("student\nann\n".encode("utf-16"), "class.csv", "not UTF-8", "CSV UTF-8"),
        ("student\nJörg\n".encode("latin-1"), "class.csv", "not UTF-8", "CSV UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path, data, name, happened, next_step):
    with pytest.raises(GradingError) as refused:
        roster(tmp_path, data, name)
    assert happened in refused.value.happened
    assert next_step in refused.value.next_step


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(GradingError, match="cannot be read"):
            read_roster(path)


@pytest.mark.parametrize(
    ("known", "listed", "keys", "said"),
    [
        (["ann"], " ann ", ["ann"], "' ann ' has spaces around it: 'ann' was taken to be meant"),
        ([], "ann ", ["ann"], "'ann' was taken to be meant"),
        (["ann", "ann "], "ann", ["ann"], ""),
        (["ann"], "ann", ["ann"], ""),
    ],
)
def test_spaces_around_a_name_are_never_dropped_silently(known, listed, keys, said):
    people, notes = People(), []
    people.settle([Claim(name) for name in known])
    assert [person.key for person in people.listed([listed], notes)] == keys
    assert (said in notes[0]) if said else not notes


def test_somebody_whose_name_ends_in_a_space_is_found_by_exactly_that_name():
    people, notes = People(), []
    people.settle([Claim("ann"), Claim("ann ")])
    (person,) = people.listed(["ann "], notes)
    assert (person.name, person.key != "ann") == ("ann ", True)
    assert "somebody is called exactly so" in notes[0]


def test_the_report_says_what_was_made_of_a_name_with_spaces(tmp_path):
    room = SmallClass(tmp_path)
    room.hand_in("ann")
    room.grade(roster=("ann", " ben"))
    assert set(room.grades()) == {"ann", "ben"}
    assert any("' ben' has spaces around it" in note for note in room.report.on_submissions)
