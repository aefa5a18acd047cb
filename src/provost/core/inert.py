"""Text from outside, made unable to act on a terminal or in a log."""


def make_inert(text: str) -> str:
    """Escape control characters, line ends and what turns the direction of text, so that it cannot act."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
