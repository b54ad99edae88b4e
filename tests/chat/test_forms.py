import pytest

from chat.forms import InboxFilter, WriteForm


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 501, "a\x00b", "\ud800", "ok \udfff"])
def test_what_cannot_be_kept_is_refused_with_a_reason(text):
    form = WriteForm({"text": text})
    assert not form.is_valid()
    assert form.errors["text"]


@pytest.mark.parametrize("text", ["x" * 500, "🙏" * 500, "two\nlines", "x\r\n" * 250])
def test_what_people_write_passes(text):
    assert WriteForm({"text": text}).is_valid()


def test_an_unreadable_filter_shows_everything():
    assert InboxFilter({"show": "nonsense"}).value("show") == ""
    assert InboxFilter({"show": "unread"}).value("show") == "unread"
