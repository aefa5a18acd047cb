"""The console's pages: each module has those of its noun.

A page's name begins with its place in the menu: asset_edit is one of the assets'.
"""

from django.urls import URLPattern

from provost.server.console import (
    accounts,
    actions,
    asset_editor,
    asset_test,
    assets,
    audit,
    channels,
    configuration,
    found,
    home,
    imports,
    language,
    nodes,
    pairs,
    previews,
    push,
    reveal,
    rules,
    runs,
    schedules,
    sessions,
    setup,
    targets,
    tasks,
    tokens,
    users,
)

app_name = "console"
urlpatterns: list[URLPattern] = [
    pattern
    for module in (
        home,
        setup,
        language,
        sessions,
        assets,
        reveal,  # before the accounts, whose names may hold a slash
        asset_editor,
        asset_test,
        nodes,
        imports,
        actions,  # before the accounts, as above
        pairs,  # the same
        accounts,
        found,
        rules,
        push,
        targets,
        previews,
        schedules,
        tasks,
        runs,
        audit,
        users,
        tokens,
        channels,
        configuration,
    )
    for pattern in module.urlpatterns
]
