"""What a training run holds to learn from."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from made_records import made_step, made_trajectory
from ml_agent.core.errors import UsageError
from ml_agent.env import COMPACT_ACTIONS, system_text
from ml_agent.store import RunFolder, Stage, Store
from ml_agent.tasks import find_package
from ml_agent.train.own_runs import OwnRun, look_into

SYSTEM = system_text("compact", COMPACT_ACTIONS)
TOLD = [("system", SYSTEM)]
PLACE = str(find_package("house-prices").folder)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run on a task that was named by its folder, with one attempt."""
    folder = RunFolder(tmp_path / "mine")
    with folder.working("quickstart", {"train_tasks": [PLACE, "email-spam"]}):
        pass
    played = made_trajectory([made_step()], task="house-prices", messages=TOLD)
    with closing(Store(folder.store_path)) as store:
        store.begin(played, Stage.COLLECT)
        store.finish(played)
    return folder


def looked(run: RunFolder, held_out: tuple[str, ...] = ()) -> OwnRun:
    return look_into(run, style="compact", offered=COMPACT_ACTIONS, held_out=held_out, known=())


def test_a_task_that_was_named_by_its_folder_is_known_by_its_id(run: RunFolder) -> None:
    found = looked(run)
    assert [one.task for one in found.attempts] == ["house-prices"]
    assert found.names == (PLACE,)
    assert found.left_out == {}


def test_attempts_at_a_task_whose_folder_is_gone_are_left_out_and_no_others(
    run: RunFolder,
) -> None:
    config = {"train_tasks": ["/gone/house-prices", "email-spam"]}
    (run.path / "config.json").write_text(json.dumps(config))
    other = made_trajectory([made_step()], task="email-spam", name="b", messages=TOLD)
    with closing(Store(run.store_path)) as store:
        store.begin(other, Stage.COLLECT)
        store.finish(other)
    found = looked(run)
    assert [one.task for one in found.attempts] == ["email-spam"]
    assert found.left_out == {"of a task that is not there": 1}


def test_a_held_out_task_is_refused_by_whatever_name(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="mine is of house-prices, on which the policy is meas"):
        looked(run, ("house-prices",))
