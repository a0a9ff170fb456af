"""Properties that hold for any input."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from localazure.evaluate import ContextScope, evaluate_line
from localazure.expressions import FUNCTIONS, ExpressionError, parse_template

SCOPE = ContextScope({})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().filter(lambda text: "@" not in text),
    lambda children: (
        st.lists(children) | st.dictionaries(st.text().filter(lambda text: "@" not in text), children)
    ),
    max_leaves=10,
)
snippets = st.sampled_from(
    [
        "@",
        "@{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "'",
        "''",
        "?",
        ".",
        ",",
        "concat",
        "a",
        "1",
        "-",
        "1e",
        "true",
        " ",
        "\n",
        '"',
    ]
)

#: Strings that get past the door of some function.
LITERALS = [
    repr(text)
    for text in (
        "", "2018-03-15T13:27:36Z", "01/31/2016 5 PM", "9999-12-31", "0001-01-01", "yyyy-MM-dd", "D", "%",
        "en-US", "de-DE", "UTC", "Pacific Standard Time", "Day", "C2", "#,##0.0;x", "1,5", "1e400",
        "<a b=\"1\">x<c/></a>", "//*", "/a/text()", "data:text/plain;base64,aGk=", "aGk=",
        "https://a.example:1/b/../c?d", "{\"a\": [1, {\"b\": null}]}",
    )
]  # fmt: skip
names = sorted(FUNCTIONS)
leaves = (
    st.integers(-(2**63), 2**63 - 1).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number))
    | st.sampled_from(["true", "false", "null"])
    | st.text(max_size=12).map(lambda text: "'" + text.replace("'", "''") + "'")
    | st.sampled_from(LITERALS)
)
expressions = st.recursive(
    leaves,
    lambda children: st.tuples(st.sampled_from(names), st.lists(children, max_size=4)).map(
        lambda call: f"{call[0]}({', '.join(call[1])})"
    ),
    max_leaves=6,
)


def refusal_of(value):
    """Return the error that parsing gives, or None."""
    try:
        parse_template(value)
    except ExpressionError as error:
        return error
    return None


@given(st.lists(snippets, max_size=30).map("".join) | st.text())
@example("@{'")
@example("@" + "[" * 9000)
def test_parsing_raises_nothing_but_its_own_error(text):
    error = refusal_of(text)
    if error is not None:
        assert error.kind == "unparseable"
        assert error.expression == text
        assert 0 <= error.position <= len(text)
        assert str(error)


@given(json_values)
def test_any_json_is_parsed_or_refused_by_name(value):
    error = refusal_of(value)
    assert error is None or error.kind == "unparseable"


@given(st.text())
def test_a_literal_string_round_trips(text):
    quoted = "'" + text.replace("'", "''") + "'"
    assert parse_template(f"@{quoted}").evaluate(SCOPE) == text
    assert parse_template(f"@{{{quoted}}}").evaluate(SCOPE) == text


@given(plain_values)
def test_templates_without_an_at_sign_are_returned_unchanged(value):
    assert parse_template(value).evaluate(SCOPE) is value


@given(st.text())
def test_a_doubled_at_sign_escapes_any_text(text):
    assert parse_template(f"@@{text}").evaluate(SCOPE) == f"@{text}"


@given(json_values)
def test_json_text_and_back_is_the_same_value(value):
    literal = json.dumps(value).replace("'", "''")
    try:
        parsed = parse_template(f"@json('{literal}')").evaluate(SCOPE)
    except ExpressionError:
        assert len(literal) > 8000
    else:
        assert parsed == value


@settings(max_examples=600)
@given(expressions)
def test_evaluation_gives_json_or_its_own_error(expression):
    outcome = evaluate_line(json.dumps({"expression": f"@{expression}"}))
    assert set(outcome) in ({"value"}, {"error", "message"})
    json.dumps(outcome, allow_nan=False)
