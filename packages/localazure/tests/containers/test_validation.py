"""Whatever is sent, the answer is a group or one of Azure's errors."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from localazure.containers.validation import read_definition
from localazure.errors import ArmError

GOOD: dict[str, Any] = {
    "location": "westeurope",
    "tags": {"a": "b"},
    "identity": {"type": "UserAssigned", "userAssignedIdentities": {"/i": {}}},
    "properties": {
        "osType": "Linux",
        "restartPolicy": "Never",
        "imageRegistryCredentials": [{"server": "s", "identity": "/i"}],
        "diagnostics": {"logAnalytics": {"workspaceId": "w", "workspaceKey": "k"}},
        "containers": [
            {
                "name": "c",
                "properties": {
                    "image": "app:1",
                    "command": ["x"],
                    "ports": [{"port": 80}],
                    "environmentVariables": [{"name": "A", "value": "1"}, {"name": "B", "secureValue": "2"}],
                    "resources": {"requests": {"cpu": 1, "memoryInGB": 1.5}, "limits": {"cpu": 1}},
                },
            }
        ],
    },
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the value itself included."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


@given(st.sampled_from(places(GOOD)), values)
def test_a_body_with_anything_anywhere_is_read_or_refused(path, new):
    body = put(GOOD, path, new)
    try:
        read = read_definition("g", body, location="westeurope", subscription_id="s")
    except ArmError as exc:
        assert exc.status in {400, 501}  # noqa: PT017 (either outcome is good)
    else:
        assert type(read).from_json(read.to_json()) == read


def test_the_good_body_is_read():
    read = read_definition("g", GOOD, location="westeurope", subscription_id="s")
    assert read.run_spec("c", {"Z": "0"}).environment == {"A": "1", "B": "2", "Z": "0"}
    assert (read.cores, read.restart_policy, read.containers) == (1, "Never", ["c"])
