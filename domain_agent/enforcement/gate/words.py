"""Lists of words, written as text so that a review reads them at a glance."""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
