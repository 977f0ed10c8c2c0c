"""UCT against values computed by hand, and which node a tree goes on from."""

import math

import pytest

from ml_agent.solve.tree import Choice, Move, Node, Shape, Tree, uct


def anything(_: Choice) -> bool:
    return True


def tree(shape: Shape | None = None, *, sign: int = 1, score: float = 0.0) -> Tree:
    return Tree("start", score, sign=sign, shape=shape)


def grown(
    one: Tree,
    name: str,
    score: float | None,
    parent: str = "",
    move: Move = Move.IMPROVE,
    partner: str = "",
) -> Node:
    above = one.node(parent)
    node = Node(
        id=name,
        script=f"script {name}",
        score=score,
        move=Move.DRAFT if above is one.root else move,
        parent=above,
        partner=partner,
        ideas=(f"idea {name}",),
        error=None if score is not None else "ValueError: no",
    )
    one.add(node)
    return node


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        # 1/2 of the visits scored; (0.7 - 0.5) / (0.9 - 0.5) = 0.5; sqrt(ln 10 / 4) = 0.758714
        ({"visits": 4, "valid": 2, "failed": 2, "mean": 0.7}, 0.25 + 1.414 * 0.758714),
        # Five failures are three too many: 0.5 * 3 / 6
        (
            {"visits": 6, "valid": 1, "failed": 5, "mean": 0.9},
            1 / 6 - 0.25 + 1.414 * math.sqrt(math.log(10) / 6),
        ),
        # Nothing scored, two failures are free.
        ({"visits": 2, "valid": 0, "failed": 2, "mean": 0.0}, 1.414 * 1.072983),
        # Worse than all others.
        ({"visits": 1, "valid": 1, "failed": 0, "mean": 0.5}, 1.414 * 1.517427),
        ({"visits": 0, "valid": 0, "failed": 0, "mean": 0.0}, math.inf),
    ],
)
def test_the_value_of_a_node_is_that_of_the_formula(facts: dict[str, float], value: float) -> None:
    found = uct(worst=0.5, best=0.9, parent_visits=10, **facts)  # type: ignore[arg-type]
    assert found == pytest.approx(value, abs=2e-6)


def test_where_all_scores_are_equal_a_node_with_one_gains_all_of_it() -> None:
    found = uct(visits=4, valid=1, failed=3, mean=2.0, worst=2.0, best=2.0, parent_visits=1)
    assert found == 1.0 - 0.5 * 1 / 4


def test_a_tree_counts_as_it_was_done_by_hand() -> None:
    """Root 0.5; a 0.7 with a1 0.9 and a2 failed; b failed."""
    one = tree(score=0.5)
    a, b = grown(one, "a", 0.7), grown(one, "b", None)
    a1, a2 = grown(one, "a1", 0.9, "a"), grown(one, "a2", None, "a")
    assert (one.root.visits, one.root.valid, one.root.failed) == (4, 2, 2)
    assert (a.visits, a.valid, a.failed, a.total) == (3, 2, 1, pytest.approx(1.6))
    # Mean 0.8 between worst 0.5 and best 0.9 is 0.75; two thirds of it; sqrt(ln 4 / 3) = 0.679778.
    assert one.value(a) == pytest.approx(0.5 + 1.414 * 0.679778, abs=2e-6)
    # The second draft is explored by a quarter less: sqrt(ln 4 / 1) = 1.177410.
    assert one.value(b) == pytest.approx(0.75 * 1.414 * 1.177410, abs=2e-6)
    # sqrt(ln 3 / 1) = 1.048147
    assert one.value(a1) == pytest.approx(1.0 + 1.414 * 1.048147, abs=2e-6)
    assert one.value(a2) == pytest.approx(1.414 * 1.048147, abs=2e-6)
    assert one.best is a1


def test_where_lower_is_better_the_lowest_score_is_the_best() -> None:
    one = tree(sign=-1, score=9.0)
    low, high = grown(one, "low", 1.0), grown(one, "high", 5.0)
    assert one.best is low
    # Negated, 5 lies half way from 9 to 1; both are visited once, the second a quarter less.
    exploration = 1.414 * math.sqrt(math.log(2))
    assert one.value(low) == pytest.approx(1.0 + exploration)
    assert one.value(high) == pytest.approx(0.5 + 0.75 * exploration)


def test_drafts_come_first_then_the_branch_that_uct_prefers() -> None:
    one = tree(Shape(crossovers=0))
    for name, score in (("a", 0.1), ("b", 0.9), ("c", None)):
        choice = one.choose(anything)
        assert choice == Choice(node=one.root, move=Move.DRAFT)
        grown(one, name, score)
    # a: 0.1/0.9 + 1.414 * sqrt(ln 3) = 1.593; b: 1 + 0.75 * 1.482 = 2.112; c: 0.5 * 1.482.
    assert one.choose(anything) == Choice(node=one.node("b"), move=Move.IMPROVE)


def test_a_failure_is_debugged_and_what_mends_it_takes_its_place() -> None:
    one = tree(Shape(drafts=1))
    failure = grown(one, "a", None)
    assert one.choose(anything) == Choice(node=failure, move=Move.DEBUG)
    second = grown(one, "b", None, "a", Move.DEBUG)
    assert second.parent is failure
    mended = grown(one, "c", 0.4, "b", Move.DEBUG)
    assert mended.parent is one.root
    assert one.root.children == [mended, failure]
    assert failure.closed
    assert mended.ideas == ("idea a", "idea c")
    # All three are visits of the root; the failure keeps its own two.
    assert (one.root.visits, failure.visits, mended.visits) == (3, 2, 1)
    assert one.choose(anything) == Choice(node=mended, move=Move.IMPROVE)


def test_a_branch_of_failures_is_closed_three_below_the_first() -> None:
    one = tree()
    parent = ""
    for depth, name in enumerate("abcd"):
        node = grown(one, name, None, parent, Move.DEBUG)
        assert node.closed == (depth == 3)
        parent = name


def test_a_node_better_than_the_starter_is_crossed_with_the_best_of_another_branch() -> None:
    one = tree(Shape(drafts=2, improvements=1))
    grown(one, "a", 0.5), grown(one, "b", 0.8)
    grown(one, "a1", 0.4, "a"), grown(one, "b1", 0.7, "b")
    assert one.partner_of(one.node("a")) is one.node("b")
    assert one.partner_of(one.node("a1")) is one.node("b")
    # Neither its own child nor its parent is another branch.
    assert one.partner_of(one.node("b1")) is one.node("a")
    chosen = one.choose(anything)
    assert chosen == Choice(node=one.node("b"), move=Move.CROSSOVER, partner=one.node("a"))
    grown(one, "x", 0.9, "b", Move.CROSSOVER, partner="a")
    # It has what is in a; its sibling is another branch.
    assert one.partner_of(one.node("x")) is one.node("b1")
    assert one.partner_of(one.node("b")) is one.node("a1")


def test_a_node_that_is_worse_than_the_starter_is_crossed_with_nothing() -> None:
    one = tree(Shape(drafts=2, improvements=0))
    grown(one, "a", -1.0), grown(one, "b", 0.8)
    assert one.partner_of(one.node("b")) is None
    assert one.choose(lambda choice: choice.move is Move.CROSSOVER) is None


def test_attempts_under_way_count_so_that_a_batch_spreads() -> None:
    one = tree(Shape(drafts=2, improvements=3, crossovers=0))
    grown(one, "a", 0.5), grown(one, "b", 0.5)
    first = one.choose(anything)
    assert first is not None
    assert first.node.id == "a"
    one.hold(first)
    second = one.choose(anything)
    assert second is not None
    assert second.node.id == "b"
    one.release()
    assert one.choose(anything) == first


def test_what_is_not_offered_is_passed_over_and_in_the_end_there_is_nothing() -> None:
    one = tree(Shape(drafts=1))
    grown(one, "a", 0.5)
    assert one.choose(lambda choice: choice.node.id == "a") is not None
    assert one.choose(lambda _: False) is None


def test_when_all_are_full_each_may_have_one_child_more() -> None:
    one = tree(Shape(drafts=1, improvements=0, crossovers=0))
    grown(one, "a", 0.5)
    assert one.choose(anything) == Choice(node=one.root, move=Move.DRAFT)


def test_the_same_attempts_give_the_same_choice() -> None:
    def choices(stop: int) -> list[tuple[str, Move]]:
        one, made = tree(), []
        for number in range(stop):
            choice = one.choose(anything)
            assert choice is not None
            made.append((choice.node.id, choice.move))
            partner = choice.partner.id if choice.partner else ""
            score = None if number % 4 == 3 else (number * 7 % 10) / 10
            grown(one, f"n{number}", score, choice.node.id, choice.move, partner)
        return made

    assert choices(60)[:30] == choices(30)
    assert {move for _, move in choices(60)} == set(Move)


def test_one_line_goes_on_from_the_best_and_mends_what_was_given_first() -> None:
    one = tree()
    given = Node(id="given", script="print(x", score=None)
    one.add(given)
    assert one.onward(anything) == Choice(node=given, move=Move.DEBUG)
    one.hold(Choice(node=given, move=Move.DEBUG))
    assert one.onward(anything) == Choice(node=one.root, move=Move.DRAFT)
    one.release()
    grown(one, "a", -0.5, "given", Move.DEBUG)
    assert given.closed
    assert one.onward(anything) == Choice(node=one.root, move=Move.DRAFT)
    grown(one, "b", 0.3)
    grown(one, "c", 0.2, "b")
    assert one.onward(anything) == Choice(node=one.node("b"), move=Move.IMPROVE)
    assert one.onward(lambda _: False) is None
