"""A script in a prompt can be read back."""

from hypothesis import given
from hypothesis import strategies as st

from ml_agent.core.listing import format_listing, number_lines, read_listings

LINES = st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), min_size=1)


@given(LINES)
def test_a_listing_is_read_back_line_by_line(lines: list[str]) -> None:
    source = "".join(line + "\n" for line in lines)
    text = f"Task: x\n{format_listing('train.py', source)}\nStep 1: Execute Script"
    assert read_listings(text) == {"train.py": source}


def test_lines_are_counted_from_one() -> None:
    assert number_lines("a\n\nb") == "a |1\n |2\nb |3"
    assert number_lines("c", first=7) == "c |7"


def test_the_last_listing_of_a_name_counts() -> None:
    text = format_listing("a.py", "old\n") + "\n" + format_listing("a.py", "new\n")
    assert read_listings(text) == {"a.py": "new\n"}


def test_a_listing_with_a_gap_is_passed_over() -> None:
    assert read_listings("<a.py>\nx |1\ny |3\n</a.py>") == {}
    assert read_listings("<a.py>\nx |1\nno number\n</a.py>") == {}
