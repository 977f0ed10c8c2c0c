"""Figures as people read them."""

import pytest

from ml_agent.pages.wording import figure


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        (11684.9, "11,685", "+11,685"),
        (-1554.2, "-1,554", "-1,554"),
        (0.831249, "0.8312", "+0.8312"),
        (0.0, "0", "+0"),
        (999.96, "1000", "+1000"),
    ],
)
def test_a_score_has_four_digits_and_no_power_of_ten(value: float, plain: str, signed: str) -> None:
    assert figure(value) == plain
    assert figure(value, signed=True) == signed
