"""Text from files in messages."""

from napari_smdiffusion.base.printable import printable


def test_no_character_of_a_file_reaches_the_terminal_raw():
    raw = "\x1b[31mred\x07 \x00 a\nb\tc \u202egnp\u202c \ud800 \x9b2J µ 😀 é"
    text = printable(raw)
    assert text == r"\x1b[31mred\x07 \x00 a b c \u202egnp\u202c \ud800 \x9b2J µ 😀 é"
    assert text.isprintable()


def test_a_long_text_is_cut_before_it_is_looked_through():
    assert printable("x" * 10**6, 10) == "xxxxxxxxx…"
    assert printable("1234567890", 10) == "1234567890"
    assert printable(12.5) == "12.5"
