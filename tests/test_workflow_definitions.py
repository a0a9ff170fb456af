"""What the two workflow definitions promise, read from the files that Azure and the laptop both run."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from localazure.workflows.catalog import all_operations
from localazure.workflows.definition import load_definition

ROOT = Path(__file__).parents[1]
FILES = {name: ROOT / "infra/workflows" / f"{name}.json" for name in ("launcher", "housekeeper")}
DOCUMENTS = {"launcher": ROOT / "docs/reference/launcher.md"}
SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"

# Limits of a Consumption workflow (learn.microsoft.com/azure/logic-apps/logic-apps-limits-and-config).
ACTIONS_MAX, NESTING_MAX, NAME_MAX_CHARS, DESCRIPTION_MAX_CHARS, PARAMETERS_MAX = 500, 8, 80, 256, 50
EXPRESSION_MAX_CHARS, UNTIL_TURNS_MAX, GROUP_NAME_MAX_CHARS = 8192, 5000, 63

# learn.microsoft.com/azure/logic-apps/logic-apps-securing-a-logic-app: what cannot be secured at all, and
# what has secured inputs only (its outputs are then hidden with them).
UNSECURABLE = {
    "If", "Switch", "Until", "Foreach", "Scope", "Terminate",
    "InitializeVariable", "SetVariable", "IncrementVariable", "AppendToArrayVariable",
}  # fmt: skip
INPUTS_ONLY = {"Compose", "ParseJson", "Response"}

# Durations the clocks are made of, in seconds; their sources are named in docs/reference/launcher.md.
ACI_PROVISIONING_TIMEOUT_S = 1800
SETTLING_S = 600


@dataclass(frozen=True)
class Action:
    """One action where it stands: its name, its JSON, the containers around it, outermost first."""

    name: str
    body: Mapping[str, Any]
    around: tuple["Action", ...]

    @property
    def kind(self) -> str:
        return str(self.body["type"])

    @property
    def own(self) -> dict[str, Any]:
        """Its JSON without the actions inside."""
        return {key: value for key, value in self.body.items() if key not in {"actions", "else"}}

    @property
    def text(self) -> str:
        """Its own JSON as text, but for what describes it."""
        return json.dumps({key: value for key, value in self.own.items() if key != "description"})

    @property
    def secured(self) -> set[str]:
        secure = self.body.get("runtimeConfiguration", {}).get("secureData", {})
        return set(secure.get("properties", []))


def actions_of(definition: Mapping[str, Any]) -> dict[str, Action]:
    def walk(group: Mapping[str, Any], around: tuple[Action, ...]) -> Iterator[Action]:
        for name, body in group.items():
            action = Action(name, body, around)
            yield action
            yield from walk(body.get("actions", {}), (*around, action))
            yield from walk(body.get("else", {}).get("actions", {}), (*around, action))

    found = list(walk(definition["actions"], ()))
    names = [action.name for action in found]
    assert len(names) == len(set(names)), "action names are unique in the whole workflow"
    return {action.name: action for action in found}


def strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from strings(item)
        case list():
            for item in value:
                yield from strings(item)


@pytest.fixture(params=sorted(FILES))
def definition(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(FILES[request.param].read_text())


@pytest.fixture(scope="module")
def launcher() -> dict[str, Any]:
    return json.loads(FILES["launcher"].read_text())


@pytest.fixture(scope="module")
def housekeeper() -> dict[str, Any]:
    return json.loads(FILES["housekeeper"].read_text())


@pytest.fixture(scope="module")
def steps(launcher: dict[str, Any]) -> dict[str, Action]:
    return actions_of(launcher)


# ---- a definition that Azure takes ------------------------------------------------------------------------


def test_a_file_is_a_plain_definition(definition: dict[str, Any]) -> None:
    assert list(definition) == ["$schema", "contentVersion", "parameters", "triggers", "actions", "outputs"]
    assert definition["$schema"] == SCHEMA


def test_it_stays_within_the_limits_of_consumption(definition: dict[str, Any]) -> None:
    actions = actions_of(definition)
    assert len(actions) < ACTIONS_MAX
    assert len(definition["parameters"]) <= PARAMETERS_MAX
    assert max(len(action.around) + 1 for action in actions.values()) <= NESTING_MAX
    assert all(len(name) <= NAME_MAX_CHARS for name in actions)
    for each in [*actions.values(), *(Action(n, b, ()) for n, b in definition["triggers"].items())]:
        assert len(each.body.get("description", "")) <= DESCRIPTION_MAX_CHARS, each.name
    assert all(len(text) <= EXPRESSION_MAX_CHARS for text in strings(definition))


def test_names_are_sentences_without_blanks(definition: dict[str, Any]) -> None:
    names = [*actions_of(definition), *definition["triggers"]]
    assert [name for name in names if not re.fullmatch(r"[A-Z][A-Za-z]*(_[A-Za-z]+)*", name)] == []


def test_run_after_names_siblings_and_real_statuses(definition: dict[str, Any]) -> None:
    def check(group: Mapping[str, Any]) -> None:
        for name, body in group.items():
            assert "runAfter" in body, name
            for before, statuses in body["runAfter"].items():
                assert before in group, f"{name} runs after {before}, which is not beside it"
                assert set(statuses) <= {"Succeeded", "Failed", "Skipped", "TimedOut"}, name
                assert statuses, name
            check(body.get("actions", {}))
            check(body.get("else", {}).get("actions", {}))

    check(definition["actions"])


def test_whatever_calls_out_may_also_fail(definition: dict[str, Any]) -> None:
    """What runs after a call takes its failure and its time-out alike, or neither."""
    actions = actions_of(definition)
    for action in actions.values():
        for before, statuses in action.body["runAfter"].items():
            if actions[before].kind == "Http":
                assert ("Failed" in statuses) == ("TimedOut" in statuses), action.name


def test_every_reference_is_to_something_there(definition: dict[str, Any]) -> None:
    actions, text = actions_of(definition), json.dumps(definition)
    used = set(re.findall(r"\b(?:actions|outputs|body)\('([^']+)'\)", text))
    assert used - set(actions) == set()
    assert set(re.findall(r"\bparameters\('([^']+)'\)", text)) == set(definition["parameters"])


def test_every_parameter_says_what_it_is(definition: dict[str, Any]) -> None:
    for name, parameter in definition["parameters"].items():
        description = parameter["metadata"]["description"]
        assert description.endswith("."), name
        assert len(description) <= DESCRIPTION_MAX_CHARS, name


def test_terminate_stands_in_no_loop(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        if action.kind == "Terminate":
            assert not {"Until", "Foreach"} & {each.kind for each in action.around}, action.name


def test_variables_are_declared_at_the_top(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        assert action.kind != "InitializeVariable" or not action.around, action.name


def test_until_has_both_limits(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        if action.kind == "Until":
            limit = action.body["limit"]
            assert 1 <= limit["count"] <= UNTIL_TURNS_MAX, action.name
            assert isinstance(limit["timeout"], str), action.name


def test_the_last_step_always_runs_and_ends_the_run(definition: dict[str, Any]) -> None:
    name, last = list(definition["actions"].items())[-1]
    everything = {"Succeeded", "Failed", "Skipped", "TimedOut"}
    assert all(set(statuses) == everything for statuses in last["runAfter"].values())
    inside = [action for action in actions_of(definition).values() if name in {a.name for a in action.around}]
    assert {"Failed", "Succeeded"} <= {a.body["inputs"]["runStatus"] for a in inside if a.kind == "Terminate"}


def test_localazure_refuses_nothing_in_it(definition: dict[str, Any]) -> None:
    load_definition(definition, all_operations())


# ---- how it calls Azure -----------------------------------------------------------------------------------


def test_every_call_has_the_identity_and_the_audience_of_its_host(definition: dict[str, Any]) -> None:
    arm, storage = "https://management.azure.com/", "https://storage.azure.com/"
    for action in actions_of(definition).values():
        if action.kind == "Http":
            to_arm = "containerGroups" in action.text or "['group']" in action.text
            audience = arm if to_arm else storage
            wanted = {"type": "ManagedServiceIdentity", "audience": audience}
            assert action.body["inputs"]["authentication"] == wanted, action.name


def test_every_call_of_storage_has_version_and_date(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        inputs = action.body.get("inputs")
        if action.kind == "Http" and "storage.azure.com" in inputs["authentication"]["audience"]:
            assert inputs["headers"]["x-ms-version"] == "2021-12-02", action.name
            assert inputs["headers"]["x-ms-date"] == "@{formatDateTime(utcNow(), 'r')}", action.name


def test_every_call_of_arm_names_the_same_version(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        if action.kind == "Http" and "management.azure.com" in action.text:
            assert "api-version=2023-05-01" in action.body["inputs"]["uri"], action.name


def test_what_changes_a_group_does_not_follow_the_asynchronous_pattern(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        if action.kind == "Http" and "management.azure.com" in action.text:
            changes = action.body["inputs"]["method"] != "GET"
            assert (action.body.get("operationOptions") == "DisableAsyncPattern") == changes, action.name


def test_receipts_are_escaped_and_update_message_has_no_body(steps: dict[str, Action]) -> None:
    with_receipt = [
        a for a in steps.values() if a.kind == "Http" and "?popreceipt=" in a.body["inputs"]["uri"]
    ]
    assert {action.name for action in with_receipt} == {
        "Hand_message_back",
        "Claim_message",
        "Give_message_back",
        "Delete_message",
    }
    for action in with_receipt:
        assert "?popreceipt=@{encodeURIComponent(" in action.body["inputs"]["uri"], action.name
        assert "body" not in action.body["inputs"], action.name


def test_the_poison_message_never_expires(steps: dict[str, Action]) -> None:
    assert steps["Put_poison_message"].body["inputs"]["uri"].endswith("?messagettl=-1")


def test_the_ledger_is_written_by_compare_and_swap_alone(steps: dict[str, Action]) -> None:
    writes = {
        action.name: action.body["inputs"]["headers"]
        for action in steps.values()
        if action.kind == "Http" and "/ledger/" in action.text and action.body["inputs"]["method"] != "GET"
    }
    assert set(writes) == {"Create_entry", "Swap_entry"}
    assert writes["Create_entry"]["If-None-Match"] == "*"
    assert writes["Swap_entry"]["If-Match"] == "@{outputs('Read_entry')?['headers']?['ETag']}"


# ---- the launcher's trigger -------------------------------------------------------------------------------


def test_one_run_per_message_and_as_many_at_once_as_there_may_be_containers(launcher: dict[str, Any]) -> None:
    (trigger,) = launcher["triggers"].values()
    assert trigger["splitOn"] == "@triggerBody()?['QueueMessagesList']?['QueueMessage']"
    assert trigger["inputs"]["path"].endswith("/message_trigger")
    assert trigger["inputs"]["queries"] == {"visibilitytimeout": "@{parameters('hideSeconds')}"}
    assert trigger["recurrence"] == {"frequency": "Second", "interval": "@parameters('pollSeconds')"}
    concurrency = trigger["runtimeConfiguration"]["concurrency"]
    assert isinstance(concurrency["runs"], int), "Azure takes no expression here"
    assert concurrency["maximumWaitingRuns"] == 100


def test_the_parameters_are_those_that_bicep_and_the_laptop_set(launcher: dict[str, Any]) -> None:
    assert set(launcher["parameters"]) == {
        "$connections", "clientId", "storageAccountName", "queueEndpoint", "blobEndpoint", "armEndpoint",
        "resourceGroupId", "location", "image", "registryServer", "workerIdentityId", "environment",
        "secureEnvironment", "namePrefix", "pollSeconds", "waitSeconds", "hideSeconds", "claimSeconds",
        "giveBackSeconds", "taskSeconds", "logAnalyticsWorkspaceId", "logAnalyticsWorkspaceKey",
    }  # fmt: skip
    secure = {name for name, p in launcher["parameters"].items() if p["type"].startswith("Secure")}
    assert secure == {"secureEnvironment", "logAnalyticsWorkspaceKey"}


# ---- the container group ----------------------------------------------------------------------------------


def test_the_group_is_created_once(steps: dict[str, Action]) -> None:
    creating = [
        a
        for a in steps.values()
        if a.kind == "Http" and a.body["inputs"]["method"] == "PUT" and "api-version" in a.text
    ]
    assert [action.name for action in creating] == ["Create_container_group"]
    assert creating[0].body["inputs"]["retryPolicy"] == {"type": "none"}


def test_the_group_is_small_and_never_restarted(steps: dict[str, Action]) -> None:
    properties = steps["Create_container_group"].body["inputs"]["body"]["properties"]
    (container,) = properties["containers"]
    assert properties["osType"] == "Linux"
    assert properties["restartPolicy"] == "Never"
    assert container["properties"]["resources"] == {"requests": {"cpu": 1, "memoryInGB": 2}}
    assert container["properties"]["image"] == "@{parameters('image')}"


def test_the_group_carries_the_housekeepers_tags(
    steps: dict[str, Action], housekeeper: dict[str, Any]
) -> None:
    tags = steps["Create_container_group"].body["inputs"]["body"]["tags"]
    assert set(tags) == {
        "dayfly", "dayfly-client", "dayfly-message", "dayfly-dequeue-count", "dayfly-created",
    }  # fmt: skip
    assert tags["dayfly"] == "worker"
    text = json.dumps(housekeeper)
    assert "?['tags']?['dayfly'], 'worker')" in text
    assert "?['tags']?['dayfly-created']" in text


def test_the_name_of_a_group_fits_with_the_longest_prefix(
    launcher: dict[str, Any], steps: dict[str, Action]
) -> None:
    name = steps["Message"].body["inputs"]["group"]
    assert name.startswith("@toLower(concat(parameters('namePrefix'), '-', triggerBody()?['MessageId'], '-',")
    (prefix_max,) = re.findall(
        r"at most (\d+) char", launcher["parameters"]["namePrefix"]["metadata"]["description"]
    )
    message_id, dequeue_count = 36, 3
    assert int(prefix_max) + 1 + message_id + 1 + dequeue_count <= GROUP_NAME_MAX_CHARS


def test_all_that_comes_from_the_message_is_a_secure_value(steps: dict[str, Action]) -> None:
    variables = {each["name"]: each for each in steps["Message_variables"].body["inputs"]}
    assert {name for name, each in variables.items() if "secureValue" in each} == {
        "TASK_DATA", "MESSAGE_ID", "POP_RECEIPT", "DEQUEUE_COUNT", "MESSAGE_INSERTED", "MESSAGE_EXPIRES",
    }  # fmt: skip
    assert {name for name, each in variables.items() if "value" in each} == {
        "CLIENT_ID", "CONTAINER_GROUP", "WORKER_TASK_TIMEOUT",
    }  # fmt: skip


def test_what_the_launcher_sets_is_left_out_of_the_settings(steps: dict[str, Action]) -> None:
    where = steps["Settings"].body["inputs"]["where"]
    own = {each["name"] for each in steps["Message_variables"].body["inputs"]}
    assert own == set(re.findall(r"'([A-Z_]+)'", where))


# ---- what must not show -----------------------------------------------------------------------------------


def test_the_trigger_hides_the_messages(launcher: dict[str, Any]) -> None:
    (trigger,) = launcher["triggers"].values()
    assert trigger["runtimeConfiguration"]["secureData"] == {"properties": ["outputs"]}


def test_the_creation_hides_what_it_sends_and_what_it_gets(steps: dict[str, Action]) -> None:
    assert steps["Create_container_group"].secured == {"inputs", "outputs"}


def test_only_actions_that_hide_it_see_the_text(steps: dict[str, Action]) -> None:
    seeing = {action.name for action in steps.values() if "['MessageText']" in action.text}
    assert seeing == {"Parse_dayfly_field", "Message_variables", "Write_dead_letter"}
    for name in seeing:
        assert steps[name].kind not in UNSECURABLE, name
        assert "inputs" in steps[name].secured, name


def test_secure_parameters_go_into_the_creation_alone(
    launcher: dict[str, Any], steps: dict[str, Action]
) -> None:
    for action in steps.values():
        for secret in ("secureEnvironment", "logAnalyticsWorkspaceKey"):
            assert secret not in action.text or action.name == "Create_container_group", action.name


def test_actions_that_cannot_be_secured_see_no_content(steps: dict[str, Action]) -> None:
    """Ledger entries, texts, receipts and answers to the creation pass them by; words and numbers do not."""
    content = re.compile(
        r"triggerBody\(\)|triggerOutputs\(\)|\['x-ms-popreceipt'\]"
        r"|\b(?:outputs|body|actions)\('(?:Read_entry|Read_entry_at_claim|Entry|Message_variables|Read_text_blob"
        r"|Parse_dayfly_field|Create_container_group|Write_dead_letter)'\)"
    )
    for action in steps.values():
        if action.kind in UNSECURABLE:
            assert not content.search(action.text), action.name


def test_what_reads_the_ledger_or_a_text_hides_it(steps: dict[str, Action]) -> None:
    for name in ("Read_entry", "Read_entry_at_claim", "Read_text_blob"):
        assert "outputs" in steps[name].secured, name
    for name in ("Entry", "Entry_at_claim"):
        assert steps[name].secured == {"inputs"}, "its outputs are hidden with its inputs"
    for name in ("Swap_entry", "Write_dead_letter"):
        assert "inputs" in steps[name].secured, name


def test_secure_data_asks_for_what_azure_can_secure(definition: dict[str, Any]) -> None:
    for action in actions_of(definition).values():
        allowed = (
            set()
            if action.kind in UNSECURABLE
            else {"inputs"}
            if action.kind in INPUTS_ONLY
            else {"inputs", "outputs"}
        )
        assert action.secured <= allowed, action.name


def test_the_housekeeper_hides_the_texts_it_peeks_at(housekeeper: dict[str, Any]) -> None:
    assert actions_of(housekeeper)["Peek_messages"].secured == {"outputs"}


# ---- the clocks -------------------------------------------------------------------------------------------


def seconds_of(duration: str) -> int:
    match = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", duration)
    assert match, duration
    hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def more_than_the_task(text: str) -> int:
    """How many seconds an expression adds to `taskSeconds`."""
    (found,) = re.findall(r"add\(parameters\('taskSeconds'\), (\d+)\)", text)
    return int(found)


@pytest.mark.parametrize("longest", ["default", "maximum"])
def test_one_setting_orders_the_clocks(
    launcher: dict[str, Any], housekeeper: dict[str, Any], steps: dict[str, Action], longest: str
) -> None:
    parameter = launcher["parameters"]["taskSeconds"]
    (maximum,) = re.findall(r"at most (\d+)", parameter["metadata"]["description"])
    task_s = parameter["defaultValue"] if longest == "default" else int(maximum)
    until = steps["Until_the_container_has_finished"]
    waiting_s = task_s + more_than_the_task(steps["Answer_to_create"].text)
    deleting_s = task_s + more_than_the_task(json.dumps(housekeeper))

    worker_s = task_s + SETTLING_S
    assert task_s < worker_s < ACI_PROVISIONING_TIMEOUT_S + worker_s < waiting_s < deleting_s
    assert waiting_s < seconds_of(until.body["limit"]["timeout"]), "the literal limit only ends what hangs"
    assert "outputs('Answer_to_create')['finishes_by']" in until.body["expression"]
    assert housekeeper["parameters"]["taskSeconds"]["defaultValue"] == parameter["defaultValue"]


def test_the_wait_has_turns_enough(launcher: dict[str, Any], steps: dict[str, Action]) -> None:
    until, parameters = steps["Until_the_container_has_finished"].body, launcher["parameters"]
    assert until["limit"]["count"] * parameters["waitSeconds"]["defaultValue"] > seconds_of(
        until["limit"]["timeout"]
    )


def test_the_worker_is_told_how_long_a_task_may_run(steps: dict[str, Action]) -> None:
    variables = {each["name"]: each for each in steps["Message_variables"].body["inputs"]}
    assert variables["WORKER_TASK_TIMEOUT"]["value"] == "@{parameters('taskSeconds')}"


def test_a_claim_outlasts_the_start_of_a_container_and_hiding_outlasts_a_claim(
    launcher: dict[str, Any],
) -> None:
    default = {name: p.get("defaultValue") for name, p in launcher["parameters"].items()}
    assert ACI_PROVISIONING_TIMEOUT_S < default["claimSeconds"] < default["hideSeconds"]


def test_the_connector_is_polled_no_faster_than_azure_allows(launcher: dict[str, Any]) -> None:
    assert launcher["parameters"]["pollSeconds"]["defaultValue"] >= 60


def test_a_finished_group_stays_no_longer_than_one_that_is_too_old(housekeeper: dict[str, Any]) -> None:
    default = {name: p.get("defaultValue") for name, p in housekeeper["parameters"].items()}
    assert default["finishedMinutes"] * 60 < default["taskSeconds"] + more_than_the_task(
        json.dumps(housekeeper)
    )
    assert default["intervalMinutes"] == 60
    assert default["oldestMessageHours"] == 5 * 24


# ---- the documents ----------------------------------------------------------------------------------------


def test_the_reference_page_lists_the_parameters_as_the_file_has_them(launcher: dict[str, Any]) -> None:
    rows = [
        f"| `{name}` | {p['type']} | {shown_default(p)} | {p['metadata']['description']} |"
        for name, p in launcher["parameters"].items()
    ]
    page = DOCUMENTS["launcher"].read_text()
    assert "\n".join(rows) in page, "docs/reference/launcher.md should hold this table:\n" + "\n".join(rows)


def test_the_reference_page_names_every_code_that_a_run_may_end_with(steps: dict[str, Action]) -> None:
    page = DOCUMENTS["launcher"].read_text()
    codes = {f["code"] for f in steps["Faults"].body["inputs"].values()} | {
        steps[name].body["inputs"]["runError"]["code"]
        for name in ("Terminate_route_unreadable", "Terminate_claim_failed")
    }
    for code in codes:
        assert f"`{re.sub('@.*', '…', code)}`" in page, code


def test_the_reference_page_names_every_problem_that_the_housekeeper_tells(
    housekeeper: dict[str, Any],
) -> None:
    page = DOCUMENTS["launcher"].read_text()
    notes = [a for a in actions_of(housekeeper).values() if a.kind == "AppendToArrayVariable"]
    codes = {action.body["inputs"]["value"].partition(":")[0] for action in notes}
    assert len(codes) == len(notes)
    for code in codes:
        assert f"`{code}`" in page, code


def shown_default(parameter: Mapping[str, Any]) -> str:
    if "defaultValue" not in parameter:
        return "required"
    return f"`{json.dumps(parameter['defaultValue'])}`"
