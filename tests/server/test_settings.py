"""The configuration in force and the check-up, as operations."""

import pytest

from provost.core.rights import make_local

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

BY = make_local("tester")


def test_settings_in_force_are_told_with_the_keys() -> None:
    """Every variable, whether it was given, and the ids of the keys, which change with new ones."""
    from django.db import connection

    from provost.config.environment import Environment, name_variable
    from provost.server.api.settings import show_settings
    from provost.server.services.rotation import rotate_keys

    told = show_settings(BY)
    assert [one.variable for one in told.settings] == [name_variable(name) for name in Environment.model_fields]
    given = {one.variable for one in told.settings if one.given}
    assert "PROVOST_HOME" in given
    assert "PROVOST_PORT" not in given
    assert told.database == connection.vendor
    assert told.vault.rotated is None
    done = rotate_keys(by=BY)
    told = show_settings(BY)
    assert (told.vault.data_key, told.vault.master_key) == (done.data_key, done.master_key)
    assert told.vault.rotated is not None


def test_a_vault_that_does_not_open_is_told_of() -> None:
    """The settings are shown all the same, and the check-up says what to do."""
    from django.conf import settings

    from provost.server.api.settings import list_findings, show_settings
    from provost.server.services import keyring

    settings.MASTER_KEY_FILE.unlink()
    keyring._cached = None
    assert show_settings(BY).vault.data_key is None
    found = {one.code: one for one in list_findings(BY)}
    assert found["master_key_missing"].level == "problem"
    assert found["first_contact"].advice
