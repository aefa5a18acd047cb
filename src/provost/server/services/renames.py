"""Saved tasks name assets and nodes: a new name of one is theirs, too."""

from collections.abc import Callable

from provost.server.models import Task


def rename_asset_in_tasks(*, old: str, new: str) -> None:
    """Let tasks that name an asset name it by its new name."""
    _rename("assets", lambda name: new if name == old else name)


def rename_node_in_tasks(*, old: str, new: str) -> None:
    """Let tasks that name a node, or one below it, name it by its new path."""
    _rename("nodes", lambda path: new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path)


def _rename(field: str, give: Callable[[str], str]) -> None:
    for task in Task.objects.select_for_update():
        names = [give(name) for name in task.spec[field]]
        if names != list(task.spec[field]):
            task.spec = {**task.spec, field: names}
            task.version += 1
            task.save(update_fields=["spec", "version"])
