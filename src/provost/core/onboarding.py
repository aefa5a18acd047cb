from enum import StrEnum


class Onboarding(StrEnum):
    """What becomes of an account that a discovery finds and the list does not hold.

    `adopt`: it gets a new secret and comes into the list; `list`: it comes into the list without a secret.
    """

    ADOPT = "adopt"
    LIST = "list"
    IGNORE = "ignore"
