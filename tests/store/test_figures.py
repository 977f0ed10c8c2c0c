"""A stage's figures, for us and for TensorBoard."""

import json
import struct
from pathlib import Path

from ml_agent.store import RunFolder


def _events(run: RunFolder, stage: str) -> list[tuple[int, dict[str, float]]]:
    """Step and scalars of each event: records of length, checksum, data, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = (run.path / "tensorboard" / stage).iterdir()
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        found.append((event.step, {one.tag: one.simple_value for one in event.summary.value}))
        data = data[12 + length + 4 :]
    return found


def test_figures_stand_in_both_files_as_they_come(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with run.figures("rl", first_update=1) as log:
        log({"update": 1, "reward": 0.5, "entropy": None, "note": "text"})
        assert run.read_metrics("rl") == [
            {"update": 1, "reward": 0.5, "entropy": None, "note": "text"}
        ]
        # The first event says the format's version.
        assert _events(run, "rl") == [(0, {}), (1, {"reward": 0.5})]


def test_a_stage_taken_up_again_forgets_the_figures_of_what_it_does_anew(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with run.figures("rl", first_update=1) as log:
        for update in (1, 2, 3):
            log({"update": update, "reward": float(update)})
    with run.metrics("rl").open("a") as file:
        file.write(json.dumps({"update": 4})[:5])  # Cut off by a kill.
    with run.figures("rl", first_update=3) as log:
        log({"update": 3, "reward": 9.0})
    assert [line["reward"] for line in run.read_metrics("rl")] == [1.0, 2.0, 9.0]
    assert _events(run, "rl")[1:] == [
        (1, {"reward": 1.0}),
        (2, {"reward": 2.0}),
        (3, {"reward": 9.0}),
    ]
