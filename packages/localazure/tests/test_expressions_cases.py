"""The documented and the observed cases, as data, and the list of those that localazure answers otherwise."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from localazure.evaluate import evaluate_line
from lxml import etree

DATA = Path(__file__).parent / "data"
DOCUMENTED = json.loads((DATA / "functions.json").read_text("utf-8"))
OBSERVED = json.loads((DATA / "functions-observed.json").read_text("utf-8"))
EXCEPTIONS = json.loads((DATA / "functions-exceptions.json").read_text("utf-8"))


def is_checked(case: dict[str, Any]) -> bool:
    return case.get("deterministic") is not False or "expected_at_now" in case


CHECKED = [case for case in DOCUMENTED if is_checked(case)]


def outcome_of(case: dict[str, Any]) -> dict[str, Any]:
    return evaluate_line(json.dumps({"expression": case["expression"], "context": case.get("context", {})}))


def expected_of(case: dict[str, Any]) -> Any:
    if "expected_at_now" in case:
        return case["expected_at_now"]
    return case.get("corrected", case["expected"])


def text_of_content(value: Any) -> str:
    return base64.b64decode(value["$content"]).decode("utf-8")


def canonical(xml: str) -> bytes:
    parser = etree.XMLParser(remove_blank_text=True, resolve_entities=False)
    return etree.tostring(etree.fromstring(xml, parser), method="c14n")


def texts_of_nodes(value: Any) -> list[str]:
    """What the article shows of XML nodes: their markup, or their text alone."""
    return ["".join(etree.fromstring(text_of_content(node)).itertext()) for node in value]


def strict(value: Any) -> str:
    """Tells 1 from 1.0 and from true, but not the order of properties."""
    return json.dumps(value, sort_keys=True)


def agrees(case: dict[str, Any], value: Any) -> bool:
    expected = expected_of(case)
    match case.get("compare"):
        case "numeric":
            return not isinstance(value, bool) and value == expected
        case "numeric-approx":
            return math.isclose(value, expected, abs_tol=1e-9)
        case "xml-text":
            return text_of_content(value) == expected
        case "xml-canonical":
            return canonical(text_of_content(value)) == canonical(expected)
        case "xml-nodes":
            return [text_of_content(node) for node in value] == expected
        case "content-of-envelope":
            return value["$content"] == expected
        case "loose":
            shown = expected if isinstance(expected, list) else [expected]
            marked = [text_of_content(node) for node in value]
            # name[last()] matches a name in each item; the article shows the last one alone.
            return marked == shown or texts_of_nodes(value)[-len(shown) :] == shown
        case _:
            return strict(value) == strict(expected)


def passes(case: dict[str, Any]) -> bool:
    outcome = outcome_of(case)
    match case:
        case {"outcome": "unparseable"} | {"compare": "unparseable"}:
            return outcome.get("error") == "unparseable"
        case {"outcome": "evaluation-error"}:
            return outcome.get("error") not in {None, "unparseable", "invalid-input"}
        case _:
            return "value" in outcome and agrees(case, outcome["value"])


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case["id"])
def test_a_documented_case_gives_the_documented_value_unless_it_is_listed(case):
    assert passes(case) is (case["id"] not in EXCEPTIONS), outcome_of(case)


@pytest.mark.parametrize("case", OBSERVED, ids=lambda case: case["id"])
def test_an_observed_case_gives_the_observed_value_unless_it_is_listed(case):
    assert passes(case) is (case["id"] not in EXCEPTIONS), outcome_of(case)


def test_hardly_any_case_is_listed_as_an_exception():
    listed = set(EXCEPTIONS)
    known = {case["id"] for case in CHECKED + OBSERVED}
    assert listed <= known
    assert len(listed & {case["id"] for case in CHECKED}) <= 0.05 * len(CHECKED)
    assert len(listed & {case["id"] for case in OBSERVED}) <= 0.03 * len(OBSERVED)


def test_every_exception_has_its_reason():
    assert all(len(reason) > 30 for reason in EXCEPTIONS.values())
