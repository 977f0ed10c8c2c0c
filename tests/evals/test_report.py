import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_attempts import EDIT, STOP, attempt, result, step, task

from made_records import RUN
from ml_agent.core.actions import ListFiles
from ml_agent.core.errors import SandboxError
from ml_agent.core.records import End, Execution, Trajectory
from ml_agent.evals import AttemptResult, Showcase, choose_attempts, summarise, write_report
from ml_agent.evals.showcase import edit_diff
from ml_agent.rewards import Linear

SNAPSHOTS = {
    "start": {"train.py": b"depth = 2\nfit(depth)\n"},
    "deeper": {"train.py": b"depth = 8\nfit(depth)\n"},
}
EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\x00\ud800"


class Page(HTMLParser):
    """What a browser would find: tags, attributes, and the text outside the style sheet."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(path.read_text(encoding="ascii"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def load(digest: str) -> dict[str, bytes]:
    if digest not in SNAPSHOTS:
        raise SandboxError(f"no snapshot {digest}")
    return SNAPSHOTS[digest]


def page(
    folder: Path, *played: Trajectory, gains: tuple[float | None, ...] = (0.5,), **given
) -> Page:
    results = [result("iris", seed, gain) for seed, gain in enumerate(gains)]
    summary = summarise({"sft": results}, held_out=[task()], seconds={"eval": 200.0})
    shown = [
        Showcase(label="sft", task=task(), trajectory=one, result=results[0]) for one in played
    ]
    given = {"curves": {}, "config": {"recipe": "quickstart"}} | given
    folder.mkdir(exist_ok=True)
    path = write_report(folder, summary, showcase=shown, workspace=load, reward=Linear(), **given)
    assert path == folder / "report.html"
    return Page(path)


def test_the_page_tells_what_was_found(tmp_path: Path) -> None:
    found = page(tmp_path / "mine", gains=(0.25, 0.75))
    assert "Run mine" in found.text
    assert "+0.50 [+0.25, +0.75]" in found.text
    assert "3 min 20 s" in found.text
    assert '"recipe": "quickstart"' in found.text


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    found = page(tmp_path, attempt(step(workspace="deeper", score=0.7), step(STOP)))
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert not {"src", "href", "onclick", "onload"} & {name for name, _ in found.attributes}
    assert "url(" not in (tmp_path / "report.html").read_text()


def test_nothing_an_agent_writes_becomes_markup(tmp_path: Path) -> None:
    evil_edit = EDIT.model_copy(update={"save_name": "a<b>.py", "new_code": EVIL})
    evil_run = Execution(exit_code=1, output=EVIL, wall_s=1.0, cpu_s=1.0)
    played = attempt(
        step(None, said=EVIL, invalid=EVIL),
        step(evil_edit, said=f"Thought: {EVIL}\nAction: Edit Script", workspace="evil"),
        step(RUN, execution=evil_run, malformed=EVIL, script=EVIL),
        step(ListFiles(dir_path="<b>"), observation=EVIL),
    )
    SNAPSHOTS["evil"] = {"a<b>.py": EVIL.encode(errors="replace")}
    found = page(tmp_path, played, config={"note": EVIL})
    assert not {"script", "img"} & set(found.tags)
    assert found.text.count("<script>alert(1)</script>") >= 6
    assert "\N{SYMBOL FOR ESCAPE}[31m" in found.text


def test_an_attempt_shows_thought_diff_output_score_and_reward(tmp_path: Path) -> None:
    found = page(tmp_path, attempt(step(workspace="deeper", score=0.7), step(STOP)))
    assert "go deeper" in found.text
    assert "-depth = 2\n+depth = 8\n" in found.text
    assert "trained" in found.text
    assert "validation accuracy 0.700 (better)" in found.text
    assert "reward +0.50" in found.text  # (0.7 - 0.5) / (0.9 - 0.5)


def test_a_lost_snapshot_costs_the_diff_and_not_the_page(tmp_path: Path) -> None:
    found = page(tmp_path, attempt(step(workspace="gone", score=0.7)))
    assert "snapshots of this edit are not kept" in found.text


def test_a_diff_is_between_the_script_read_and_the_script_saved() -> None:
    saved_apart = EDIT.model_copy(update={"save_name": "second.py"})
    SNAPSHOTS["two"] = SNAPSHOTS["start"] | {"second.py": b"depth = 8\nfit(depth)\n"}
    played = attempt(step(saved_apart, workspace="two"), step(RUN, workspace="two"))
    assert edit_diff(played, 0, load) == (
        "--- train.py\n+++ second.py\n@@ -1,2 +1,2 @@\n-depth = 2\n+depth = 8\n fit(depth)"
    )
    assert edit_diff(played, 1, load) is None


def test_missing_stages_are_named_as_absent(tmp_path: Path) -> None:
    found = page(tmp_path)
    assert "Fine-tuning (sft): this run has no metrics" in found.text
    assert "Reinforcement learning (rl): this run has no metrics" in found.text
    assert found.text.count("not evaluated") == 2  # base and rl
    assert "No attempt was chosen" in found.text


def test_curves_are_drawn_from_the_figures_that_are_there(tmp_path: Path) -> None:
    rl = [{"update": t, "reward": t / 10, "kl": None, "policy": "p"} for t in range(5)]
    sft = [{"update": t, "loss": float("nan") if t == 1 else 2.0 - t} for t in range(3)]
    found = page(tmp_path, curves={"rl": rl, "sft": sft})
    assert "Reward of a step" in found.text
    assert "Loss on action tokens" in found.text
    assert "KL to" not in found.text


@pytest.mark.parametrize("end", [End.BROKEN, End.OUT_OF_BUDGET])
def test_a_page_of_broken_attempts_only_is_still_a_page(tmp_path: Path, end: End) -> None:
    found = page(tmp_path, attempt(end=end), gains=(None,))
    assert "There is no unbroken attempt" in found.text
    assert "1 broken, left out" in found.text


def test_an_empty_evaluation_is_still_a_page(tmp_path: Path) -> None:
    summary = summarise({}, held_out=[])
    path = write_report(
        tmp_path, summary, curves={}, showcase=[], workspace=load, reward=Linear(), config={}
    )
    assert "not evaluated" in Page(path).text


def test_a_difference_that_may_be_nothing_is_not_called_one(tmp_path: Path) -> None:
    def wording(*gains: float) -> str:
        tasks = [task(name) for name in "abc"]
        results = {
            "base": [result(name, 0, 0.0) for name in "abc"],
            "sft": [result(name, 0, gain) for name, gain in zip("abc", gains, strict=True)],
        }
        path = write_report(
            tmp_path,
            summarise(results, held_out=tasks),
            curves={},
            showcase=[],
            workspace=load,
            reward=Linear(),
            config={},
        )
        return Page(path).text

    assert "sft is above base" in wording(0.4, 0.5, 0.6)
    assert "sft is below base" in wording(-0.4, -0.5, -0.6)
    assert "sft and base cannot be told apart" in wording(-0.4, 0.5, 0.1)
    # The difference has the sign of its interval: the mean of -0.5, -0.5 and 0.4 is -0.2.
    assert "sft minus base is -0.20 (95 % interval -0.50 to" in wording(-0.5, -0.5, 0.4)


def test_shown_attempts_are_chosen_by_rule() -> None:
    def gains(*values: float | None) -> list[AttemptResult]:
        return [result("iris", seed, value) for seed, value in enumerate(values)]

    chosen = choose_attempts({"base": gains(0.0), "sft": gains(0.1, None, 0.9, 0.3)})
    assert [(label, one.normalised_gain) for label, one in chosen] == [
        ("sft", 0.9),
        ("sft", 0.3),
        ("base", 0.0),
    ]


def test_the_configuration_may_hold_what_json_cannot(tmp_path: Path) -> None:
    assert json.dumps("runs/x") in page(tmp_path, config={"folder": Path("runs/x")}).text
