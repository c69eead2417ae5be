"""OCPP 1.6 words, cell by cell."""

from __future__ import annotations

import pytest

from schemas.vocabulary import Status
from service.translation.ocpp16 import STATUS_OF_WORD, STEPS, error_code_of, is_known, lies_outside, status_of

# OCPP 1.6, section 4.9: rows from, columns to; a dash is no transition.
SECTION_4_9 = """
FROM / TO      Available Preparing Charging SuspendedEV SuspendedEVSE Finishing Reserved Unavailable Faulted
Available      -  A2 A3 A4 A5 -  A7 A8 A9
Preparing      B1 -  B3 B4 B5 B6 -  -  B9
Charging       C1 -  -  C4 C5 C6 -  C8 C9
SuspendedEV    D1 -  D3 -  D5 D6 -  D8 D9
SuspendedEVSE  E1 -  E3 E4 -  E6 -  E8 E9
Finishing      F1 F2 -  -  -  -  -  F8 F9
Reserved       G1 G2 -  -  -  -  -  G8 G9
Unavailable    H1 H2 H3 H4 H5 -  -  -  H9
Faulted        I1 I2 I3 I4 I5 I6 I7 I8 -
"""

(_, _, _, *WORDS), *ROWS = (line.split() for line in SECTION_4_9.strip().splitlines())
CELLS = [
    (from_word, to_word, cell)
    for from_word, *cells in ROWS
    for to_word, cell in zip(WORDS, cells, strict=True)
]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Available", Status.AVAILABLE),
        ("Preparing", Status.PREPARING),
        ("Charging", Status.CHARGING),
        ("SuspendedEVSE", Status.CHARGING),
        ("SuspendedEV", Status.CHARGING),
        ("Finishing", Status.FINISHING),
        ("Reserved", Status.RESERVED),
        ("Unavailable", Status.INOPERATIVE),
        ("Faulted", Status.OUTOFORDER),
    ],
)
def test_each_ocpp_status_has_one_word_of_ours(word: str, status: Status) -> None:
    """The table of OCPP 1.6 statuses, row by row."""
    assert status_of(word) is status


def test_the_status_table_has_no_other_rows() -> None:
    """Nine statuses are all that OCPP 1.6 knows, and each has its row of transitions."""
    assert set(STATUS_OF_WORD) == set(STEPS) == set(WORDS)


@pytest.mark.parametrize("word", list(STATUS_OF_WORD))
def test_a_status_word_counts_in_whatever_case(word: str) -> None:
    """Back ends write `FAULTED` and `faulted`: taken for UNKNOWN, an outage would be no longer one."""
    for written in (word.upper(), word.lower()):
        assert status_of(written) is STATUS_OF_WORD[word]
        assert is_known(written)


def test_a_step_is_the_same_in_whatever_case() -> None:
    """Nor is a repeat in another case a step."""
    assert not lies_outside("AVAILABLE", "preparing")
    assert lies_outside("RESERVED", "charging")
    assert not lies_outside("FAULTED", "Faulted")


@pytest.mark.parametrize("word", ["Occupied", "", "out of order", "🔌", "Faulted "])
def test_an_unknown_status_word_is_unknown_and_no_error(word: str) -> None:
    """A word outside OCPP 1.6 never costs the report."""
    assert status_of(word) is Status.UNKNOWN
    assert not is_known(word)


@pytest.mark.parametrize(("from_word", "to_word", "cell"), CELLS)
def test_each_cell_of_the_transition_table_is_as_in_section_4_9(
    from_word: str, to_word: str, cell: str
) -> None:
    """A step lies outside exactly where the table has a dash, repeats excepted."""
    assert lies_outside(from_word, to_word) is (cell == "-" and from_word != to_word)


def test_a_first_status_is_no_step() -> None:
    """Where nothing was known before, nothing can lie outside the table."""
    assert not lies_outside(None, "Finishing")
    assert not lies_outside(None, "Occupied")


def test_a_step_from_or_to_an_unknown_word_lies_outside() -> None:
    """A word that OCPP 1.6 does not know has no transitions, but its repeat is still only a repeat."""
    assert lies_outside("Available", "Occupied")
    assert lies_outside("Occupied", "Available")
    assert not lies_outside("Occupied", "Occupied")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("NoError", None),
        ("NOERROR", None),
        ("", None),
        ("GroundFailure", "GroundFailure"),
        ("MID_METER_E7", "MID_METER_E7"),
    ],
)
def test_no_error_is_no_code_and_unknown_codes_pass_through(word: str, code: str | None) -> None:
    """An unknown error code costs neither itself nor the status beside it."""
    assert error_code_of(word) == code
