"""A run's log as TensorBoard's event files."""

import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from radscale_lib.pretrain.watch import LogRow

NOT_DRAWN = ("step", "samples")


class Events:
    """Writes the rows of a log as they come: one scalar per value, by step.

    A run that continues after an interruption begins a new file, which replaces earlier ones from
    its first step on.
    """

    def __init__(self, folder: Path) -> None:
        """Write into a folder, starting with the first row given."""
        self._folder = folder
        self._writer: EventsWriter | None = None

    def __call__(self, row: LogRow) -> None:
        """Write a row; it is on disk when this returns."""
        step = int(row["step"])
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Each attempt has its own file, even if two begin within a second.
            self._writer = EventsWriter(str(self._folder / "events"), f".{step}")
            self._add(Event(step=step, file_version="brain.Event:2"))
            self._add(Event(step=step, session_log=SessionLog(status=SessionLog.START)))
        for name, value in row.items():
            if name not in NOT_DRAWN:
                self._add(Event(step=step, summary=scalar(name, value)))
        self._writer.flush()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        assert self._writer is not None
        self._writer.write_event(event)
