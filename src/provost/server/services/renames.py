"""Saved tasks name assets and nodes: a new name of one is theirs, too, and that of one that goes is forgotten.

Otherwise whoever takes a name that is free again would be pushed to by tasks that meant another.
"""

from collections.abc import Callable

from provost.server.models import Task


def rename_asset_in_tasks(*, old: str, new: str) -> None:
    """Let tasks that name an asset name it by its new name."""
    _rename("assets", lambda name: new if name == old else name)


def rename_node_in_tasks(*, old: str, new: str) -> None:
    """Let tasks that name a node, or one below it, name it by its new path."""
    _rename("nodes", lambda path: new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path)


def drop_asset_from_tasks(*, name: str) -> None:
    """Let no task name an asset any more. One that names nothing then cannot start."""
    _rename("assets", lambda one: None if one == name else one)


def drop_node_from_tasks(*, path: str) -> None:
    """Let no task name a node any more. One that names nothing then cannot start."""
    _rename("nodes", lambda one: None if one == path else one)


def _rename(field: str, give: Callable[[str], str | None]) -> None:
    for task in Task.objects.select_for_update():
        names = [new for name in task.spec[field] if (new := give(name)) is not None]
        if names != list(task.spec[field]):
            task.spec = {**task.spec, field: names}
            task.version += 1
            task.save(update_fields=["spec", "version"])
