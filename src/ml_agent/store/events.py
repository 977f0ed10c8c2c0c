"""A stage's figures as TensorBoard reads them: `tensorboard --logdir runs/NAME/tensorboard`.

Written from the lines of metrics/STAGE.jsonl, which stay what counts. No thread of its own writes,
unlike in the library's `SummaryWriter`, so that a full disk is an error where it happens.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "events.out.tfevents.figures"
"""TensorBoard looks for "tfevents" in a file's name; the usual one would name this machine."""


class Events:
    """One event file, written anew."""

    def __init__(self, folder: Path) -> None:
        """Begin the file.

        Args:
            folder: Of one stage; what TensorBoard calls a run.

        Raises:
            OSError: It cannot be written.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).unlink(missing_ok=True)
        self._writer = RecordWriter(str(folder / NAME))
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, line: Mapping[str, float | int | str | None]) -> None:
        """Add the numbers of one update.

        Args:
            line: Figures by name, the number of the update among them. Text and None are left out.

        Raises:
            OSError: It cannot be written.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in line.items()
            if name != "update" and isinstance(value, (int, float))
        ]
        step = int(line["update"] or 0)
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """End the file."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())
        self._writer.flush()
