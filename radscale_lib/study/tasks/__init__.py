"""Kinds of tasks, one module each: how a frozen encoder is evaluated."""

from typing import TYPE_CHECKING

from radscale_lib.study.kinds import kinds, union
from radscale_lib.study.tasks.base import Decoder, TaskSection

TASKS = kinds(__name__, TaskSection, "kind", "radscale.tasks")
"""Every kind of task by name, including those of installed packages."""

if TYPE_CHECKING:
    Task = TaskSection
else:
    Task = union(TASKS, "kind")

__all__ = ["TASKS", "Decoder", "Task", "TaskSection"]
