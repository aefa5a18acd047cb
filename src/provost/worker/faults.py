import traceback

from provost.core.errors import ProvostError


def describe_fault(error: BaseException) -> str:
    """Return what went wrong and where, for the log. A foreign error's text may be secret: it stays out."""
    if isinstance(error, ProvostError):
        return f"{error.code}: {error.message}"
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
