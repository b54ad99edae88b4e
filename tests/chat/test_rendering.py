import pytest

from chat.rendering import find_unknown, render_text


def test_the_names_stand_where_the_placeholders_stood():
    assert render_text("Hi {buyer}, from {shop}", buyer="Ana", shop="Kape") == "Hi Ana, from Kape"


def test_a_name_that_looks_like_a_placeholder_is_not_filled_in_again():
    assert render_text("{buyer}", buyer="{shop}", shop="Kape") == "{shop}"


def test_other_braces_stay_as_they_are():
    assert render_text("{price} {0} { buyer }", buyer="Ana", shop="Kape") == "{price} {0} { buyer }"


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("Hi {Buyer}, {name}! {Buyer}", ["{Buyer}", "{name}"]),
        ("{ buyer } of {shop}", ["{ buyer }"]),
        ("Hi {buyer}, from {shop}", []),
        ("{}, { }, {10 % off}, :-{", []),
    ],
)
def test_what_only_looks_like_a_placeholder_is_found(text, unknown):
    assert find_unknown(text) == unknown
