"""How strings become expressions, and JSON becomes a template."""

import pytest
from localazure.evaluate import ContextScope
from localazure.expressions import ExpressionError, Reference, parse_template

SCOPE = ContextScope({"parameters": {"age": 42, "name": "Ada"}, "variables": {"key": "k", "list": [1]}})


def value_of(template, scope=SCOPE):
    return parse_template(template).evaluate(scope)


def error_of(template, scope=SCOPE):
    with pytest.raises(ExpressionError) as caught:
        value_of(template, scope)
    return caught.value


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        ("@", "@"),
        ("a@b.example", "a@b.example"),
        ("@@", "@"),
        ("@@{parameters('age')} and @{literal}", "@{parameters('age')} and @{literal}"),
        ("@parameters('age')", 42),
        ("@ parameters( 'age' )\n", 42),
        ("@{parameters('age')}", "42"),
        ("I am @{parameters('age')}, @{parameters('name')}", "I am 42, Ada"),
        ("My age is @@{parameters('age')}", "My age is @{parameters('age')}"),
        ("@{'a }'' b'}", "a }' b"),
        ("@{'a'}@@{@{'b'}", "a@{b"),
        ("@{null}", ""),
    ],
)
def test_a_string_is_read_by_its_at_signs(template, value):
    assert value_of(template) == value


def test_expressions_are_evaluated_anywhere_in_json_and_in_keys():
    template = {
        "a": [1, None, "@parameters('age')"],
        "@{variables('key')}-x": {"b": "@@c"},
        "@@odata.type": True,
    }
    assert value_of(template) == {"a": [1, None, 42], "k-x": {"b": "@c"}, "@odata.type": True}


def test_what_has_no_expression_is_returned_as_it_is():
    source = {"a": [1, {"b": "c@d"}], "e": 1.5}
    template = parse_template(source)
    assert template.is_constant
    assert template.evaluate(SCOPE) is source


def test_a_key_must_be_a_string():
    assert error_of({"@parameters('age')": 1}).kind == "invalid-template"


def test_values_keep_their_type_unless_they_are_put_into_text():
    assert value_of("@variables('list')") == [1]
    assert value_of("@{variables('list')}") == "[1]"


def test_a_decimal_leaves_the_language_as_a_float():
    value = value_of({"a": ["@decimal('1.50')"]})
    assert value == {"a": [1.5]}
    assert type(value["a"][0]) is float


def test_names_of_parameters_and_functions_mean_the_same_in_any_case():
    assert value_of("@PARAMETERS('AGE')") == 42


def test_a_template_knows_its_functions_by_their_documented_names():
    template = parse_template({"a": "@toupper(NoSuch(1))", "b": "x @{BODY('A')} y"})
    assert template.functions == {"toUpper", "NoSuch", "body"}


def test_a_template_knows_the_names_that_are_given_as_literals():
    template = parse_template(
        "@{body('A')}@{outputs('B')?['x']}@{parameters('P')}@{variables('V')}@{items('L')}@{result('S')}"
        "@{iterationIndexes('U')}@{actions(variables('W'))}@{body('A')}"
    )
    assert template.references == (
        Reference("action", "A", "body"),
        Reference("action", "B", "outputs"),
        Reference("parameter", "P", "parameters"),
        Reference("variable", "V", "variables"),
        Reference("loop", "L", "items"),
        Reference("scope", "S", "result"),
        Reference("loop", "U", "iterationIndexes"),
        Reference("variable", "W", "variables"),
    )


def test_unknown_functions_and_wrong_arity_are_named_before_any_evaluation():
    template = parse_template({"a": "@if(true, 1, frobnicate(2))", "b": ["@{substring('x')}"]})
    problems = template.problems()
    assert [problem.kind for problem in problems] == ["unknown-function", "invalid-arity"]
    assert "frobnicate" in problems[0].message
    assert problems[0].expression == "@if(true, 1, frobnicate(2))"
    assert problems[0].position == 13
    assert "substring" in problems[1].message


def test_an_unknown_function_in_a_branch_not_taken_does_not_matter_to_evaluation():
    assert value_of("@if(true, 1, frobnicate(2))") == 1
    assert error_of("@if(false, 1, frobnicate(2))").kind == "unknown-function"


def test_an_error_draws_a_caret_under_the_place():
    error = error_of("Hello @{concat('a', nope())}!")
    assert error.kind == "unknown-function"
    assert str(error).splitlines() == [
        "the template function 'nope' is not defined or not valid",
        "  Hello @{concat('a', nope())}!",
        "                      ^",
    ]


def test_a_caret_stays_under_its_place_in_long_text_with_line_breaks():
    error = error_of("x\n" * 200 + "@{nope()}" + "y" * 500)
    line, caret = error.drawing().splitlines()
    assert line[caret.index("^")] == "n"
    assert len(line) < 110


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("@{", "closing '}'"),
        ("@{}", "empty"),
        ("@concat", "'(' is missing"),
        ("@concat('a'", "')'"),
        ("@'a", "no closing quote"),
        ('@concat("a")', "single quotes"),
        ("@string({})", "addProperty"),
        ("@9223372036854775808", "9223372036854775807"),
        ("@concat('a') 'b'", "not expected"),
        ("@" + "not(" * 101 + "true" + ")" * 101, "nested deeper than 100"),
        ("@'" + "a" * 8192 + "'", "8192"),
    ],
)
def test_what_cannot_be_parsed_is_refused_with_the_reason(template, word):
    error = error_of(template)
    assert error.kind == "unparseable"
    assert word in error.message
    assert error.position is not None


def test_deep_json_is_refused():
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert error_of(deep).kind == "unparseable"


def test_the_deepest_expression_allowed_is_evaluated():
    assert value_of("@" + "not(" * 100 + "true" + ")" * 100) is True
    assert value_of("@" + "createArray(" * 100 + "1" + ")" * 100 + "[0]" * 100) == 1


def test_values_nested_without_end_are_an_error_and_no_crash():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    scope = ContextScope({"variables": {"deep": deep}})
    for expression in (
        "@string(variables('deep'))",
        "@equals(variables('deep'), createArray(variables('deep')))",
    ):
        assert error_of(expression, scope).kind == "invalid-template"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("@variables('v').a.B", 1),
        ("@variables('v')['a']?['b']", 1),
        ("@variables('v')?.a?.missing", None),
        ("@variables('v')?.missing?.more", None),
        ("@variables('v')['l'][1]", 20),
        ("@variables('v').l?[7]", None),
        ("@variables('v').l[add(0, 1)]", 20),
        ("@variables('v')[concat('a', '')].b", 1),
        ("@[1, [2]][1][0]", 2),
    ],
)
def test_properties_and_indexes_are_selected_step_by_step(expression, value):
    scope = ContextScope({"variables": {"v": {"a": {"b": 1}, "l": [10, 20]}}})
    assert value_of(expression, scope) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("@variables('v').missing", "property 'missing' doesn't exist, available properties are: a, l"),
        ("@variables('v')?.missing.more", "property 'more' cannot be selected from null"),
        ("@variables('v').l[2]", "index '2' is outside"),
        ("@variables('v').l?['a']", "property 'a' cannot be selected from a value of type 'Array'"),
        ("@variables('v')?[0]", "index '0' cannot be selected from a value of type 'Object'"),
        ("@variables('v').a?.b", "property 'b' cannot be selected from a value of type 'Integer'"),
        ("@variables('v').l[true]", "cannot be selected"),
    ],
)
def test_a_selection_that_cannot_be_made_is_an_error_also_behind_a_question_mark(expression, message):
    scope = ContextScope({"variables": {"v": {"a": 1, "l": [10, 20]}}})
    error = error_of(expression, scope)
    assert error.kind == "invalid-template"
    assert message in error.message


def test_what_the_scope_lacks_is_not_found_with_its_place():
    error = error_of("@concat('x', parameters('nope'))")
    assert error.kind == "not-found"
    assert error.position == 13


def test_a_lookup_error_of_a_scope_is_not_found():
    class Bare(ContextScope):
        def parameter(self, name):
            return {}[name]

    error = error_of("@parameters('nope')", Bare({}))
    assert error.kind == "not-found"
    assert "nope" in error.message
