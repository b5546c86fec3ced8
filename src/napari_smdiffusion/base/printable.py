"""Text from files and names of files, made safe for a terminal and short enough for a message."""

from __future__ import annotations

import unicodedata

# Categories of characters that a terminal obeys or does not show: controls, invisible marks (such as those that turn
# the direction of writing), halves of characters, and characters without a meaning.
_NOT_SHOWN = ("Cc", "Cf", "Cs", "Co", "Cn")


def printable(text: object, longest: int | None = None) -> str:
    r"""Return text in which every character can be seen.

    Text from a file may hold escape sequences, which change the colours, the title or the content of a terminal.

    Parameters
    ----------
    text
        Any text. Other values are converted by `str`.
    longest
        Number of characters after which the text is cut; None: it is not cut.

    Returns
    -------
    The text in one line. Line breaks and tabs become blanks; other characters that are not shown are written as
    `\x1b`, for example.
    """
    # The cut comes first as well: a text from a file may have gigabytes.
    characters = str(text) if longest is None else str(text)[: longest + 1]
    shown = "".join(_seen(character) for character in characters)
    return shown if longest is None or len(shown) <= longest else f"{shown[: longest - 1]}…"


def _seen(character: str) -> str:
    if character in "\t\n\v\f\r\x85\u2028\u2029":
        return " "
    if unicodedata.category(character) not in _NOT_SHOWN:
        return character
    return character.encode("unicode_escape").decode("ascii")
