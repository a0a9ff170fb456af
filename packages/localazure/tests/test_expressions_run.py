"""What expressions see of a run, and the lines that `localazure evaluate` reads and writes."""

import io
import json

import pytest
from localazure.evaluate import ContextScope, run_evaluate
from localazure.expressions import ExpressionError, parse_template

RUN = {
    "actions": {
        "Http": {"status": "Failed", "outputs": {"statusCode": 404, "body": {"a": 1}}},
        "Compose": {"outputs": "text"},
        "Skipped": {"status": "Skipped"},
        "Form": {
            "outputs": {"body": {"$formdata": [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]}}
        },
        "Parts": {"outputs": {"body": {"$multipart": [{"body": "first"}]}}},
    },
    "action": {"name": "Until", "outputs": {"x": 1}},
    "trigger": {"name": "manual", "outputs": {"body": {"id": 7}, "headers": {}}},
    "item": {"n": 1},
    "items": {"Each": 5},
    "iterationIndexes": {"Loop": 3},
    "results": {"Scope": [{"name": "Http", "status": "Failed"}]},
    "workflow": {"run": {"name": "0858"}},
    "callbackUrl": "https://a.example/callback",
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("@actions('http').status", "Failed"),
        ("@actions('Http').outputs.body.a", 1),
        ("@outputs('Http')['statusCode']", 404),
        ("@body('Http')", {"a": 1}),
        ("@actionBody('Http').a", 1),
        ("@body('Compose')", None),
        ("@outputs('Skipped')", None),
        ("@body('Skipped')", None),
        ("@action().outputs.x", 1),
        ("@trigger().name", "manual"),
        ("@triggerOutputs().body.id", 7),
        ("@triggerBody()?['id']", 7),
        ("@item().n", 1),
        ("@items('Each')", 5),
        ("@iterationIndexes('Loop')", 3),
        ("@result('Scope')[0].status", "Failed"),
        ("@workflow().run.name", "0858"),
        ("@listCallbackUrl()", "https://a.example/callback"),
        ("@formDataMultiValues('Form', 'k')", ["1", "2"]),
        ("@formDataValue('Form', 'other')", None),
        ("@multipartBody('Parts', 0)", "first"),
    ],
)
def test_workflow_functions_show_the_run(expression, value):
    assert parse_template(expression).evaluate(ContextScope(RUN)) == value


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("@body('Nope')", "not-found"),
        ("@parameters('Nope')", "not-found"),
        ("@formDataValue('Form', 'k')", "invalid-template"),
        ("@multipartBody('Parts', 1)", "invalid-template"),
        ("@triggerFormDataValue('k')", "invalid-template"),
    ],
)
def test_what_the_run_does_not_have_is_an_error(expression, kind):
    with pytest.raises(ExpressionError) as caught:
        parse_template(expression).evaluate(ContextScope(RUN))
    assert caught.value.kind == kind


def answers_to(*lines):
    output = io.StringIO()
    exit_code = run_evaluate(lines, output)
    return exit_code, [json.loads(line) for line in output.getvalue().splitlines()]


def test_evaluate_answers_line_by_line():
    exit_code, answers = answers_to(
        '{"expression": "@add(1, 2)"}',
        "",
        '{"expression": "@{parameters(\'p\')}!", "context": {"parameters": {"P": "\\u00e9"}}}',
        '{"expression": "@nope()", "context": null}',
        '{"expression": {"a": ["@float(\'NaN\')", "@mul(1e308, 10)"]}}',
    )
    assert exit_code == 0
    assert answers == [
        {"value": 3},
        {"value": "\u00e9!"},
        {
            "error": "unknown-function",
            "message": "the template function 'nope' is not defined or not valid\n  @nope()\n   ^",
        },
        {"value": {"a": ["NaN", "Infinity"]}},
    ]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"expression": "@1", "context": []}'])
def test_evaluate_says_so_when_a_line_is_no_case_and_goes_on(line):
    exit_code, answers = answers_to(line, '{"expression": "x"}')
    assert exit_code == 1
    assert answers[0]["error"] == "invalid-input"
    assert answers[1] == {"value": "x"}


@pytest.mark.parametrize(
    ("expression", "context"),
    [
        ("@parameters('A')", {"parameters": 1}),
        ("@body('A')", {"actions": {"A": 1}}),
        ("@triggerBody()", {"trigger": None}),
        ("@utcNow()", {"now": 5}),
    ],
)
def test_evaluate_survives_a_context_of_the_wrong_shape(expression, context):
    exit_code, answers = answers_to(json.dumps({"expression": expression, "context": context}))
    assert exit_code == 0
    assert answers[0]["error"] in {"not-found", "invalid-template"}
