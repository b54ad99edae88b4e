import pytest

from engagement.reasons import NOTHING_KNOWN, Facts, explain, explain_row


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (Facts(3, 12, 5, 0, 0), "Ordered 3 times, last 12 days ago; last active 5 days ago"),
        (Facts(3, 12, 12, 5, 4), "Ordered 3 times, last 12 days ago; read 4 of 5 messages"),
        (Facts(1, 1, 1, 0, 0), "Ordered once, yesterday"),
        (Facts(2, 7, 7, 0, 0), "Ordered twice, last 7 days ago"),
        (Facts(1, 0, 0, 1, 1), "Ordered once, today; read your one message"),
        (Facts(0, None, 3, 0, 0), "Last active 3 days ago"),
        (Facts(1200, 2, None, 0, 0), "Ordered 1,200 times, last 2 days ago"),
        (Facts(0, None, None, 0, 0), NOTHING_KNOWN),
    ],
)  # fmt: skip
def test_the_reason_names_the_buyers_own_facts(facts, sentence):
    assert explain(facts) == sentence


def test_facts_that_lifted_nobody_are_left_out():
    assert explain(Facts(2, 400, 90, 50, 2)) == NOTHING_KNOWN  # 4 % of messages read: below the 9 %


def test_no_facts_give_no_reason():
    assert explain_row([]) == ""
    assert explain_row([0, None, 3, 0, 0]) == "Last active 3 days ago"
