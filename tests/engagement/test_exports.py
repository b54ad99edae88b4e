import csv

import pytest

from engagement.exports import answer, defuse, lines


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+63", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "＝1", "＠x", "－1", "＋1"],
)
def test_a_cell_that_begins_like_a_formula_is_defused(cell):
    assert defuse(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "blank",
    ["\u3000", "\u2003", "\u202f", "\u200b", "\ufeff", "\x0b", "\x00", "\u2800", "\u00ad", "\ufeff \u200b"],
)
def test_no_blank_hides_the_beginning_of_a_formula(blank):
    assert defuse(f"{blank}=1") == f"'{blank}=1"
    assert defuse(f"Ana;{blank}=1") == f"Ana;{blank}'=1"
    assert defuse(f"{blank}Ana") == f"{blank}Ana"


@pytest.mark.parametrize(
    ("cell", "defused"),
    [("Ana;=1+1", "Ana;'=1+1"), ('a; "=x()', "a; \"'=x()"), ("=1;+2", "'=1;'+2"), ("a;b-c", "a;b-c")],
)
def test_a_cell_that_a_semicolon_would_begin_is_defused(cell, defused):
    assert defuse(cell) == defused


@pytest.mark.parametrize("cell", ["Ana", "a=b", 5, -5, 1.5, ""])
def test_ordinary_cells_and_numbers_stay_as_they_are(cell):
    assert defuse(cell) == cell


def test_a_file_reads_back_as_it_was_written():
    text = "".join(lines(["Name", "Note"], [["Ana, “A”", 'say "hi"'], ["Zoë\nLi", None]]))
    assert list(csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True))) == [
        ["Name", "Note"], ["Ana, “A”", 'say "hi"'], ["Zoë\nLi", ""],
    ]  # fmt: skip


def test_the_answer_is_a_download():
    response = answer("figures", ["A"], [[1]])
    assert response["Content-Disposition"] == 'attachment; filename="figures.csv"'
    assert b"".join(response.streaming_content).decode("utf-8-sig") == "A\r\n1\r\n"
