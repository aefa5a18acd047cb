"""Random passwords, by rules."""

import secrets

from provost.core.passwords import PasswordRules
from provost.core.secrets import Password


def generate_password(rules: PasswordRules) -> Password:
    """Draw a password that follows the rules.

    Each class gives its least count, the rest comes from all classes together, and the places are shuffled.

    Raises:
        Refused: no password can follow the rules.
    """
    rules.check()
    classes = rules.list_classes()
    drawn = [secrets.choice(alphabet) for _, alphabet, least in classes for _ in range(least)]
    everything = "".join(alphabet for _, alphabet, _ in classes)
    drawn += [secrets.choice(everything) for _ in range(rules.length - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return Password("".join(drawn))
