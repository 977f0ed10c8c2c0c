"""What the playbook does about an error."""

import playbook_scripts as scripts

from ml_agent.agents.playbook import corrected, sound
from ml_agent.agents.playbook.library import changed, play_of
from ml_agent.core.records import Domain

DOMAIN = Domain.TABULAR_REGRESSION
WRONG = scripts.FLAT.replace("Ridge(alpha=1.0)", "Ridge(alpha=1e9)")


def correct(error: str | None, now: str, *helped: str, before: str = scripts.FLAT) -> str | None:
    return corrected(error=error, before=before, now=now, helped=helped, domain=DOMAIN)


def test_a_crash_is_repaired_where_a_repair_is_known() -> None:
    bug = scripts.FLAT.replace("alpha=1.0", "lambda_=1.0")
    error = "TypeError: Ridge.__init__() got an unexpected keyword argument 'lambda_'"
    assert correct(error, bug, "model-forest") == scripts.FLAT


def test_without_a_repair_the_error_gives_way_to_what_helped_most() -> None:
    forest = changed(play_of("model-forest").change, scripts.FLAT)
    assert forest is not None
    for error in ("KeyError: 'price'", None):
        assert correct(error, WRONG, "model-forest", "model-boosting") == forest
    # That idea was the error itself: the next one.
    boosting = changed(play_of("model-boosting").change, scripts.FLAT)
    assert boosting is not None
    assert correct(None, forest, "model-forest", "model-boosting") == boosting


def test_where_nothing_has_helped_the_error_is_taken_back() -> None:
    assert correct(None, WRONG) == scripts.FLAT
    # An edit of so many characters is none that a small model could learn to write.
    long = scripts.FLAT + "".join(f"print({number:0100d})\n" for number in range(9))
    assert correct(None, scripts.FLAT, before=long) is None
    assert correct(None, long) == scripts.FLAT


def test_where_the_error_changed_nothing_an_idea_is_carried_out() -> None:
    forest = changed(play_of("model-forest").change, scripts.FLAT)
    assert correct(None, scripts.FLAT, "model-forest") == forest
    first = sound(DOMAIN, scripts.FLAT)[0]
    assert correct(None, scripts.FLAT) == changed(play_of(first.id).change, scripts.FLAT)


def test_a_script_that_is_not_python_is_at_most_taken_back() -> None:
    assert correct("SyntaxError: invalid syntax", "x = (", before="x = 1\n") == "x = 1\n"
    assert correct(None, "x = (", before="x = (") is None
