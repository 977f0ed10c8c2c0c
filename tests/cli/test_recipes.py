"""Recipes with changes: what is refused, and that the order of changes is none."""

import pytest

from ml_agent.cli.recipes import recipe_named
from ml_agent.core.errors import UsageError
from ml_agent.tasks import find_package

EPISODES = ("rl.mode=episode", "rl.staleness=0")


def test_changes_that_need_each_other_may_come_in_any_order() -> None:
    swapped = ("train_tasks=art-medium", "held_out_tasks=house-prices")
    for changes in (swapped, swapped[::-1]):
        recipe = recipe_named("quickstart", changes)
        assert (recipe.train_tasks, recipe.held_out_tasks) == (("art-medium",), ("house-prices",))
    overlapping = ("rl.staleness=2", *EPISODES)
    assert recipe_named("laptop", overlapping).rl.mode == "episode"


def test_a_recipe_without_changes_is_the_recipe() -> None:
    recipe = recipe_named("laptop")
    changed = recipe_named("laptop", ("rl.grpo.kl=0.5", "collect.quotas=house-prices:3"))
    assert changed.rl.grpo.kl == 0.5
    assert changed.collect.quotas == ("house-prices:3",)
    back = (f"rl.grpo.kl={recipe.rl.grpo.kl}", "collect.quotas=")
    assert recipe_named("laptop", back) == recipe


def test_a_held_out_task_is_known_by_its_folder_too() -> None:
    folder = find_package("house-prices").folder
    with pytest.raises(UsageError, match="house-prices: a task cannot be trained on and held out"):
        recipe_named("quickstart", (f"held_out_tasks={folder},art-medium",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("actions=Edit Script,Exec Script", "actions is Edit Script, Exec Script; there are"),
        ("actions=", "actions is empty"),
        ("imitate_states=0", "imitate_states is 0; give 1 at least, or none"),
        ("imitate_corrections=-1", "imitate_corrections is -1"),
        ("collect.retold_best=-1", "collect.retold_best at 1"),
        ("collect.retold_practised=-1", "collect.retold_practised starts at 0"),
        ("collect.rule=nearest", "collect.rule is 'nearest'; it is one of mean-distance, fps"),
        ("rl.updates=-3", "rl.updates is -3; it must be at least 1"),
        ("rl.actions=1", "would learn nothing"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(change: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recipe_named("quickstart", (change,))


def test_a_single_action_is_enough_where_it_is_compared_with_something() -> None:
    recipe_named("quickstart", ("rl.actions=1", "rl.algorithm=ppo"))


def test_what_is_practised_is_among_what_is_trained_on_and_not_all_of_it() -> None:
    two = "train_tasks=house-prices,loan-rates"
    kept = recipe_named("laptop", [two, "practise_tasks=loan-rates"])
    assert [kept.imitates(name) for name in kept.train_tasks] == [True, False]
    with pytest.raises(UsageError, match="names email-spam, which is no training task here"):
        recipe_named("laptop", [two, "practise_tasks=email-spam,loan-rates"])
    with pytest.raises(UsageError, match="holds all training tasks, so there is none to imitate"):
        recipe_named("laptop", [two, "practise_tasks=house-prices,loan-rates"])
    assert recipe_named("laptop", [two, "practise_tasks="]).practise_tasks == ()
