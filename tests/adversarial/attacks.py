"""What an attack is: the learner's cell, and the result it must get."""

from __future__ import annotations

from dataclasses import dataclass

RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"
FOOLED = (False, False, True)  # a wrong answer stays wrong; the other exercise is not touched
FINE = (True, True, True)  # the answer is right; what the code tried besides changes nothing
LOST = (False, False, True)  # the code ended or never defined its function; the other exercise still counts
BROKE_ITSELF = (False, False, False)  # what it did to its own process made its other answers useless too


@dataclass(frozen=True)
class Attack:
    """One hostile or broken submission.

    ``source`` is the cell of exercise 1; ``{canary}``, ``{port}``, ``{abstract}`` and ``{pid}`` stand for things of the host
    that it must not reach. ``passes`` says which of check 1, hidden test 1 and check 2 must pass. ``says`` must occur in what
    the cell of exercise 1 printed or in its error, which proves that the attack ran.
    """

    name: str
    source: str
    passes: tuple[bool, bool, bool] = FINE
    says: str = ""
    message: str = ""  # must occur in the message of check 1
    races: bool = False  # who is first decides: it may earn ``passes`` or less, never more
    endless: bool = False  # runs until a limit on time ends it; all others end by themselves, or by another limit


def tries(name: str, action: str, *, answer: str = RIGHT) -> Attack:
    """Return an attack that does ``action`` and prints what became of it; ``action`` raises when it is refused."""
    lines = "\n".join("    " + line for line in action.strip().splitlines())
    body = f"try:\n{lines}\nexcept BaseException as error:\n    print('contained:', type(error).__name__, error)\nelse:\n    print('ESCAPED')\n"
    return Attack(name, f"{answer}{body}", FINE if answer == RIGHT else FOOLED, says="contained:")
