"""Collect what the console says to people into the catalogue of each language, and compile the catalogues.

What a kind's options and parameters are called comes from the connectors themselves, and what a setting is from
the settings.  With --check nothing is
written, and the exit status is 1 where a catalogue lacks a string of the source, or has one too many.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polib

SERVER = Path(__file__).parents[1] / "src" / "provost" / "server"
LANGUAGES = ("zh_Hans",)


def main() -> None:
    """Do it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provost.config.settings")
    import django  # noqa: PLC0415  # its import reads the settings' name

    django.setup()
    wanted = collect()
    missing = False
    for language in LANGUAGES:
        file = SERVER / "locale" / language / "LC_MESSAGES" / "django.po"
        catalogue = polib.pofile(str(file)) if file.exists() else make_catalogue(language)
        if "--check" in sys.argv:
            differing = {entry.msgid for entry in catalogue} ^ wanted.keys()
            missing = missing or bool(differing)
            for text in sorted(differing):
                print(f"{language}: {text!r}")
            continue
        update(catalogue, wanted)
        file.parent.mkdir(parents=True, exist_ok=True)
        catalogue.save(str(file))
        catalogue.save_as_mofile(str(file.with_suffix(".mo")))
        left = [entry for entry in catalogue if not entry.translated()]
        print(f"{language}: {len(catalogue)} strings, {len(left)} of them without a translation")
    sys.exit(missing)


def collect() -> dict[str, polib.POEntry]:
    """Return every string of the source by its text."""
    from django.core.management import call_command  # noqa: PLC0415  # Django is set up

    found = {}
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "server"
        shutil.copytree(SERVER, copy, ignore=shutil.ignore_patterns("locale", "vendor", "__pycache__"))
        (copy / "locale").mkdir()
        before = Path.cwd()
        os.chdir(copy)
        try:
            call_command("makemessages", locale=["en"], verbosity=0, add_location="never")
        finally:
            os.chdir(before)
        for entry in polib.pofile(str(copy / "locale" / "en" / "LC_MESSAGES" / "django.po")):
            found[entry.msgid] = entry
    for text in (*list_kind_texts(), *list_setting_texts()):
        found.setdefault(text, polib.POEntry(msgid=text))
    return found


def list_kind_texts() -> Iterator[str]:
    """Yield what the fields of each kind are called, and what is said of them."""
    from provost import connectors  # noqa: PLC0415  # Django is set up
    from provost.server.console.words import name_field  # noqa: PLC0415  # as above
    from provost.server.services.checks import load_connector  # noqa: PLC0415  # as above

    for kind in connectors.list_kinds():
        connector = load_connector(kind)
        for model in (connector.options, connector.parameters, connector.removal):
            for name, field in model.model_json_schema().get("properties", {}).items():
                yield name_field(name)
                if text := field.get("description"):
                    yield text


def list_setting_texts() -> Iterator[str]:
    """Yield what each setting is."""
    from provost.config.environment import Environment  # noqa: PLC0415  # Django is set up

    for field in Environment.model_fields.values():
        if field.description:
            yield field.description


def make_catalogue(language: str) -> polib.POFile:
    """Return an empty catalogue."""
    catalogue = polib.POFile()
    catalogue.metadata = {
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": "nplurals=1; plural=0;",
    }
    return catalogue


def update(catalogue: polib.POFile, wanted: dict[str, polib.POEntry]) -> None:
    """Make a catalogue hold exactly the wanted strings, with the translations that it has."""
    had = {entry.msgid: entry for entry in catalogue}
    catalogue.clear()
    for text, entry in sorted(wanted.items()):
        before = had.get(text)
        made = polib.POEntry(msgid=text, msgid_plural=entry.msgid_plural, flags=entry.flags)
        if entry.msgid_plural:
            made.msgstr_plural = before.msgstr_plural if before and before.msgid_plural else {0: ""}
        else:
            made.msgstr = before.msgstr if before else ""
        catalogue.append(made)


main()
