import pytest
from django.core.management import call_command

pytestmark = pytest.mark.usefixtures("database")


def test_models_and_migrations_agree() -> None:
    """Nobody forgot a migration."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
