import pytest

from cli.filters import filter_in_words, stored_filter_in_words


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"column": "a", "op": "eq", "value": "it's"}, "a = 'it''s'"),
        ({"column": "a", "op": "in", "value": [1, 2]}, "a in (1, 2)"),
        ({"column": "a", "op": "is_null", "value": False}, "a is not null"),
        ({"not": {"column": "a", "op": "ge", "value": 1.5}}, "not (a >= 1.5)"),
        (
            {
                "or": [
                    {"column": "a", "op": "eq", "value": True},
                    {
                        "and": [
                            {"column": "b", "op": "starts_with", "value": "x"},
                            {"column": "c", "op": "lt", "value": 3},
                        ]
                    },
                ]
            },
            "a = true or (b starts with 'x' and c < 3)",
        ),
        (
            {"column": "a", "op": "like", "value": "x"},
            '{"column": "a", "op": "like", "value": "x"}',
        ),
    ],
)
def test_filters_read_like_conditions(document: dict[str, object], words: str) -> None:
    assert filter_in_words(document) == words


@pytest.mark.parametrize("text", ["not json", "[1]"])
def test_what_is_no_filter_is_shown_as_it_is(text: str) -> None:
    assert stored_filter_in_words(text) == text
