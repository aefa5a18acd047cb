from django.conf import settings
from django.db import connection

import provost
from provost.core.documents import FindingDocument, SettingDocument, SettingsDocument, VaultDocument
from provost.core.rights import Principal
from provost.server.services import checkup, keyring


def show_settings(by: Principal) -> SettingsDocument:
    """Show the configuration in force, without secrets."""
    keys = keyring.describe_keys(by=by)
    return SettingsDocument(
        version=provost.__version__,
        database=connection.vendor,
        settings=[
            SettingDocument(variable=variable, meaning=meaning, value=value, given=given)
            for variable, meaning, value, given in settings.ENVIRONMENT.describe()
        ],
        vault=VaultDocument(
            master_key_file=str(settings.MASTER_KEY_FILE),
            master_key=keys.master_key,
            data_key=keys.data_key,
            created=keys.created,
            rotated=keys.rotated,
        ),
    )


def list_findings(by: Principal) -> list[FindingDocument]:
    """Look the server over, as `provost check --deploy` does, and list what is found. Changes nothing."""
    return [
        FindingDocument(level=one.level.value, code=one.code, message=one.message, advice=one.advice)
        for one in checkup.examine_all(by=by)
    ]
