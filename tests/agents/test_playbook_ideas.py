import ast
from collections import Counter

import playbook_scripts as scripts
import pytest

from ml_agent.agents.playbook import IDEAS, applicable, smallest_edit
from ml_agent.agents.playbook.library import PLAYS, changed, play_of
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Axis, Domain

BY_DOMAIN = [
    (Domain.TABULAR_REGRESSION, scripts.FLAT),
    (Domain.TABULAR_REGRESSION, scripts.FUNCTIONS),
    (Domain.TEXT, scripts.PIPELINE),
    (Domain.IMAGE, scripts.BY_HAND),
    (Domain.GRAPH, scripts.NEIGHBOURS),
]


def after(idea_id: str, source: str) -> str:
    new = changed(play_of(idea_id).change, source)
    assert new is not None, f"{idea_id} does not apply"
    return new


def changed_lines(idea_id: str, source: str) -> str:
    return smallest_edit(source, after(idea_id, source), "s.py", "s.py").new_code.removesuffix("\n")


def test_there_are_thirty_ideas_and_more_on_every_axis() -> None:
    counts = Counter(idea.axis for idea in IDEAS)
    assert set(counts) == set(Axis)
    assert min(counts.values()) >= 30
    assert len({idea.text for idea in IDEAS}) == len({idea.id for idea in IDEAS}) == len(IDEAS)


def test_a_thought_about_any_idea_has_at_most_twenty_words() -> None:
    assert max(len(play.doing.split()) for play in PLAYS.values()) <= 16


def test_an_unknown_idea_is_named() -> None:
    with pytest.raises(UsageError, match="no-such-idea"):
        play_of("no-such-idea")


@pytest.mark.parametrize(("domain", "source"), BY_DOMAIN)
def test_a_script_has_a_dozen_ideas_on_all_axes(domain: Domain, source: str) -> None:
    ideas = applicable(domain, source)
    assert len(ideas) >= 12
    assert {idea.axis for idea in ideas} == set(Axis)
    assert all(domain in idea.domains for idea in ideas)


@pytest.mark.parametrize(("domain", "source"), BY_DOMAIN)
def test_every_idea_is_one_short_edit_of_valid_python_done_once(
    domain: Domain, source: str
) -> None:
    for idea in applicable(domain, source):
        new = after(idea.id, source)
        ast.parse(new)
        edit = smallest_edit(source, new, "s.py", "s.py")
        assert len(edit.new_code.splitlines()) <= 7, idea.id
        assert changed(PLAYS[idea.id].change, new) is None, f"{idea.id} is carried out twice"


def test_a_script_that_is_not_python_has_no_ideas() -> None:
    assert applicable(Domain.TEXT, "model = Ridge(\n") == ()


def test_a_replaced_model_is_imported_where_it_is_used() -> None:
    assert changed_lines("model-forest", scripts.FUNCTIONS) == (
        "    from sklearn.ensemble import RandomForestRegressor\n"
        "    reg = RandomForestRegressor(n_estimators=100, random_state=0)"
    )


def test_a_report_on_the_old_models_weights_goes_with_it() -> None:
    assert "coef_" not in after("model-forest", scripts.FLAT)
    assert "coef_" in after("learning-weaker-penalty", scripts.FLAT)


def test_a_name_imported_under_another_name_is_recognised() -> None:
    assert "Tfidf(max_features=5000)" in after("data-vocabulary-5000", scripts.PIPELINE)
    assert "LR(C=10)" in after("learning-weaker-penalty", scripts.PIPELINE)


def test_a_setting_in_an_unpacked_dictionary_is_changed_there() -> None:
    line = changed_lines("learning-deep-trees", scripts.FUNCTIONS)
    assert line == '    settings = {"max_depth": None}'


def test_a_listed_pair_of_columns_gives_a_ratio() -> None:
    line = changed_lines("data-ratio", scripts.FUNCTIONS)
    assert line == (
        '    return table[["rooms", "area"]].assign(ratio=lambda d: d["rooms"] / (d["area"] + 1))'
    )


def test_held_back_rows_are_fitted_right_before_the_prediction() -> None:
    code = changed_lines("learning-fit-on-all", scripts.FUNCTIONS)
    assert code.splitlines()[0] == "    reg.fit(X, y)" and "reg.predict(" in code


def test_a_model_trained_by_hand_is_replaced_by_a_fitted_one() -> None:
    assert changed_lines("model-raw-svm", scripts.BY_HAND) == (
        'from sklearn.svm import SVC\nout["prediction"] = SVC(C=10).fit(X, y).predict(Z)'
    )
    assert changed_lines("learning-more-iterations", scripts.BY_HAND) == "EPOCHS = 400"


def test_pairs_of_nodes_are_scored_otherwise() -> None:
    line = changed_lines("data-common-neighbours", scripts.NEIGHBOURS)
    assert line == "    return len(near[first] & near[second])"


def test_a_classifier_that_must_give_probabilities_is_not_replaced_by_one_that_cannot() -> None:
    source = scripts.PIPELINE.replace("clf.predict(", "clf.predict_proba(")
    assert changed(play_of("model-linear-svm").change, scripts.PIPELINE) is not None
    assert changed(play_of("model-linear-svm").change, source) is None
