"""Text from elsewhere, as a terminal gets it."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cli.text import json_text, plain

DOCUMENTS = st.recursive(
    st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
)


@given(DOCUMENTS, st.sampled_from([None, 2]))
def test_json_means_the_same_and_steers_no_terminal(document: object, indent: int | None) -> None:
    text = json_text(document, indent)
    assert json.loads(text) == document
    assert not steering(text.replace("\n", "").replace("\x7f", ""))


@given(st.text())
def test_a_line_steers_no_terminal(text: str) -> None:
    assert not steering(plain(text))


def test_what_can_be_read_stays_as_it_is() -> None:
    assert json_text({"name": "Zoë 👩\u200d🚀"}) == '{"name": "Zoë 👩\u200d🚀"}'
    assert json_text("\u202e\x9b") == '"\\u202e\\u009b"'


def steering(text: str) -> list[str]:
    """The characters that could move, hide or turn around what is shown."""
    return [
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and character not in "\u200c\u200d\u00ad"
    ]
