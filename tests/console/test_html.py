import pytest

from entrepot.console.frame import Column, address, link, table
from entrepot.console.html import Html, el, together

NASTY = "<script>alert('1')</script>\"&"
SAFE = "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;"


def test_text_is_escaped_and_elements_are_not() -> None:
    assert el("p", NASTY, el("b", 1)) == f"<p>{SAFE}<b>1</b></p>"
    assert together([NASTY, [None, el("br")]]) == f"{SAFE}<br>"
    assert isinstance(together("a"), Html)


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    made = el("input", class_="a", data_key=NASTY, hidden=True, max=3, title=None, disabled=False)
    assert made == f'<input class="a" data-key="{SAFE}" hidden max="3">'


def test_markup_that_was_made_into_text_again_is_escaped() -> None:
    assert el("p", f"{el('b', 'x')}") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"
    assert el("p", el("b", "x") + "<i>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;i&gt;</p>"


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/cached/a/b:1", {}, "/cached/a/b:1"),
        ("/cached/a@sha256:00", {}, "/cached/a@sha256:00"),
        ("/x?y#z", {"q": "a&b=c", "after": ""}, "/x%3Fy%23z?q=a%26b%3Dc"),
    ],
)
def test_an_address_leads_where_it_says(path: str, query: dict[str, str], expected: str) -> None:
    assert address(path, **query) == expected
    assert link("x", path, **query).startswith('<a href="/')


def test_a_table_without_rows_is_a_sentence() -> None:
    columns = [Column("Name"), Column("Size", is_number=True)]
    assert table("All", columns, [], "There is none.") == '<p class="quiet">There is none.</p>'
    assert 'data-label="Size"' in table("All", columns, [["a", 1]], "")
