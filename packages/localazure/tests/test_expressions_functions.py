"""Functions beyond the documented and observed cases: signatures, limits, .NET's formats, hostile input."""

import re

import pytest
from localazure.evaluate import ContextScope
from localazure.expressions import FUNCTIONS, ExpressionError, parse_template

DOCUMENTED_FUNCTIONS = {
    "action", "actions", "add", "addDays", "addHours", "addMinutes", "addProperty", "addSeconds",
    "addToTime", "and", "array", "base64", "base64ToBinary", "base64ToString", "binary", "body",
    "bool", "chunk", "coalesce", "concat", "contains", "convertFromUtc", "convertTimeZone",
    "convertToUtc", "createArray", "dataUri", "dataUriToBinary", "dataUriToString",
    "dateDifference", "dayOfMonth", "dayOfWeek", "dayOfYear", "decimal", "decodeBase64",
    "decodeDataUri", "decodeUriComponent", "div", "empty", "encodeUriComponent", "endsWith",
    "equals", "first", "float", "formatDateTime", "formDataMultiValues", "formDataValue",
    "formatNumber", "getFutureTime", "getPastTime", "greater", "greaterOrEquals", "guid", "if",
    "indexOf", "int", "isFloat", "isInt", "item", "items", "iterationIndexes", "json",
    "intersection", "join", "last", "lastIndexOf", "length", "less", "lessOrEquals",
    "listCallbackUrl", "max", "min", "mod", "mul", "multipartBody", "not", "nthIndexOf", "or",
    "outputs", "parameters", "parseDateTime", "rand", "range", "removeProperty", "replace",
    "result", "reverse", "setProperty", "skip", "slice", "sort", "split", "startOfDay",
    "startOfHour", "startOfMonth", "startsWith", "string", "sub", "substring", "subtractFromTime",
    "take", "ticks", "toLower", "toUpper", "trigger", "triggerBody", "triggerFormDataMultiValues",
    "triggerFormDataValue", "triggerMultipartBody", "triggerOutputs", "trim", "union",
    "uriComponent", "uriComponentToBinary", "uriComponentToString", "uriHost", "uriPath",
    "uriPathAndQuery", "uriPort", "uriQuery", "uriScheme", "utcNow", "variables", "workflow", "xml",
    "xpath",
}  # fmt: skip


def value_of(expression, **context):
    return parse_template(expression).evaluate(ContextScope(context))


def error_of(expression, **context):
    with pytest.raises(ExpressionError) as caught:
        value_of(expression, **context)
    return caught.value


def test_every_documented_function_is_there():
    assert set(FUNCTIONS) >= DOCUMENTED_FUNCTIONS


def test_a_signature_says_what_a_function_takes():
    substring = FUNCTIONS["substring"]
    assert [parameter.name for parameter in substring.parameters] == ["text", "startIndex", "length"]
    assert (substring.group, substring.required, substring.repeats) == ("string", 2, False)


@pytest.mark.parametrize(
    ("expression", "kind", "message"),
    [
        (
            "@length()",
            "invalid-arity",
            "one parameter: 'collection'. It was invoked with no parameters",
        ),
        ("@substring('a')", "invalid-arity", "expects 2 to 3 parameters"),
        ("@concat()", "invalid-arity", "at least one parameter"),
        ("@length(null)", "invalid-type", "to be an array or a string. The provided value is of type 'Null'"),
        ("@add(1, '2')", "invalid-type", "second parameter 'summand_2' to be an integer or a decimal number"),
        (
            "@take('abc', -1)",
            "invalid-type",
            "to be a positive integer. The provided value is of type",
        ),
        ("@if('true', 1, 2)", "invalid-type", "condition to be a boolean"),
        ("@less('1', 2)", "invalid-type", "matching types"),
        ("@sort(createArray(1, 'a'))", "invalid-type", "cannot compare"),
        ("@union(createArray(1), json('{}'))", "invalid-type", "same type"),
        ("@contains('abc', 1)", "invalid-type", "a string is expected"),
    ],
)
def test_wrong_arguments_are_named_with_their_type(expression, kind, message):
    error = error_of(expression)
    assert error.kind == kind
    assert message in error.message


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("@range(3, 2)", [3, 4]),
        ("@lastIndexOf('hello', '')", 4),
        ("@nthIndexOf('aXaXa', 'x', -2)", 1),
        ("@indexOf('HELLO', 'l')", 2),
        ("@replace('Aa', 'a', 'b')", "Ab"),
        ("@string(decimal('1.10'))", "1.10"),
        ("@string(add(decimal('1.2345678912312131'), decimal('1.2345678912312131')))", "2.4691357824624262"),
        ("@string(1000000000000000.0)", "1E+15"),
        ("@string(0.00001)", "1E-05"),
        ("@string(0.0001)", "0.0001"),
        ("@sort(createArray('b', null, 'a'))", [None, "a", "b"]),
        ("@union(createArray(1, true, '1'), createArray(1, false))", [1, True, "1", False]),
        ("@equals(1, 1.0)", True),
        ("@equals(null, '')", False),
        ("@equals(json('{\"a\":[1]}'), json('{\"a\":[1]}'))", True),
        ("@json(null)", {}),
        ("@bool('TRUE')", True),
        ("@max(1, 2.5, decimal('2'))", 2.5),
        ("@uriHost('https://www.localhost.com:8080')", "www.localhost.com"),
        ("@uriPath('https://a.example/b/../c d')", "/c%20d"),
        ("@uriPort('https://a.example')", 443),
        ("@uriScheme('HTTPS://a.example')", "https"),
        ("@uriComponent('a b/c+d=')", "a%20b%2Fc%2Bd%3D"),
    ],
)
def test_functions_give_the_value_and_its_type(expression, value):
    result = value_of(expression)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("formatNumber(1234567890, '#,##0.00', 'is-IS')", "1.234.567.890,00"),
        ("formatNumber(17.35, 'C2', 'is-IS')", "17,35 kr"),
        ("formatNumber(-5, 'C')", "-$5.00"),
        ("formatNumber(-1234.5, '#,##0.0;(#,##0.0);zero')", "(1,234.5)"),
        ("formatNumber(0, '#,##0.0;(#,##0.0);zero')", "zero"),
        ("formatNumber(0, '#.##')", ""),
        ("formatNumber(0.1234, '0.0%')", "12.3%"),
        ("formatNumber(0.5, 'P')", "50.00%"),
        ("formatNumber(12345.678, '0.00E+00')", "1.23E+04"),
        ("formatNumber(12345678, '#,##0,,M')", "12M"),
        ("formatNumber(5551234, '###-####')", "555-1234"),
        ("formatNumber(7, '\\#000''x''')", "#007x"),
        ("formatNumber(255, 'X4')", "00FF"),
        ("formatNumber(-7, 'D3')", "-007"),
        ("formatNumber(1234.5, 'E2')", "1.23E+003"),
        ("formatNumber(1234.5, 'N1', 'de-DE')", "1.234,5"),
        ("formatNumber(123456789, 'G3')", "1.23E+08"),
    ],
)
def test_numbers_are_written_by_dotnet_formats(expression, text):
    assert value_of(f"@{expression}") == text


@pytest.mark.parametrize(
    "expression",
    [
        "add(9223372036854775807, 1)",
        "mul(9223372036854775807, 2)",
        "div(1, 0)",
        "mod(1.5, 0)",
        "div(decimal('1'), 5e-324)",
        "rand(2, 2)",
        "range(0, 100001)",
        "range(2147483640, 100)",
        "max(json('[]'))",
        "max(createArray('a'))",
        "chunk('abc', 0)",
        "decimal('79228162514264337593543950336')",
        "formatNumber(1.5, 'D')",
        "formatNumber(1, 'Q')",
        "formatNumber(1, 'N1000')",
        "formatNumber(1, 'N', 'xx-nope')",
        "guid('Q')",
        "json('[1,')",
        "json('[NaN]')",
        "json(binary('{'))",
        "uriHost('/relative')",
        "dataUriToBinary('no uri')",
        "nthIndexOf('a', 'a', 0)",
    ],
)
def test_what_has_no_result_is_an_error(expression):
    assert error_of(f"@{expression}").kind in {"invalid-template", "invalid-type"}


def test_a_string_beyond_the_limit_is_refused_before_it_is_built():
    doubled = "variables('x')"
    for _ in range(5):
        doubled = f"replace({doubled}, 'a', '{'a' * 60}')"
    assert "104857600 are allowed" in error_of(f"@{doubled}", variables={"x": "aa"}).message


def test_json_deeper_than_its_limit_is_refused():
    assert "nested deeper than 128" in error_of("@json(variables('x'))", variables={"x": "[" * 129}).message


def test_random_values_have_their_form():
    assert all(value_of("@rand(1, 5)") in {1, 2, 3, 4} for _ in range(30))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value_of("@guid()"))
    assert re.fullmatch(r"\([0-9a-f-]{36}\)", value_of("@guid('P')"))
    assert value_of("@guid()") != value_of("@guid()")


def test_functions_leave_their_arguments_as_they_are():
    given = {"a": 1, "l": [2, 1]}
    for expression in (
        "@setProperty(variables('v'), 'A', 2)",
        "@addProperty(variables('v'), 'b', 2)",
        "@removeProperty(variables('v'), 'a')",
        "@sort(variables('v').l)",
        "@reverse(variables('v').l)",
        "@union(variables('v'), json('{\"c\": 1}'))",
    ):
        value_of(expression, variables={"v": given})
    assert given == {"a": 1, "l": [2, 1]}


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY x "boom">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><a/>',
        "<a>&undeclared;</a>",
        "<a>" * 200 + "</a>" * 200,
        "<a",
        "",
    ],
)
def test_hostile_or_broken_xml_is_refused(document):
    for expression in ("@xml(variables('x'))", "@json(xml(binary(variables('x'))))"):
        assert error_of(expression, variables={"x": document}).kind == "invalid-template"


def test_a_file_named_by_a_document_type_is_not_read():
    document = '<!DOCTYPE a SYSTEM "file:///etc/hostname"><a>b</a>'
    assert value_of("@xpath(xml(variables('x')), 'string(/a)')", variables={"x": document}) == "b"


def test_xpath_reaches_no_other_document():
    error = error_of("@xpath(xml('<a/>'), 'document(\"file:///etc/hostname\")')")
    assert "XPath" in error.message


def test_prefixes_survive_from_json_to_xml_where_they_are_declared():
    source = '{"a:r":{"@xmlns:a":"u","a:b":{"c:d":[1,true,null,""]}}}'
    xml = '<a:r xmlns:a="u"><a:b><d>1</d><d>true</d><d /><d></d></a:b></a:r>'
    assert value_of(f"@{{xml(json('{source}'))}}") == xml


def test_a_document_type_keeps_its_internal_subset():
    value = value_of("@json(xml('<!DOCTYPE a [<!ELEMENT a ANY>]><a/>'))")
    assert value == {"!DOCTYPE": {"@name": "a", "@internalSubset": "<!ELEMENT a ANY>"}, "a": None}
