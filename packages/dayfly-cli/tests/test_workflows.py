import copy
import json
from pathlib import Path

import pytest
from dayfly_cli.clients import Client
from dayfly_cli.control_plane import WORKER_IMAGE, ControlPlane
from dayfly_cli.errors import SetupError
from dayfly_cli.workflows import find_definition, housekeeper, launcher

GROUP = "/subscriptions/s/resourceGroups/dayfly"
PLANE = ControlPlane(
    arm="https://127.0.0.1:1",
    arm_ca=Path("ca.pem"),
    identity_endpoint="http://127.0.0.1:2",
    identity_header="h",
    admin="",
    location="westeurope",
    resource_group_id=GROUP,
    client=None,
    process=None,
)
WORKER = {
    "OPENAI_MODEL": "m",
    "OPENAI_API_KEY": "sk",
    "AZURE_STORAGE_CONNECTION_STRING": "cs",
    "SUPABASE_KEY": "k",
}


def put(**changes):
    options = {"enabled": True, "poll_s": 1, "max_containers": 3} | changes
    return launcher(
        find_definition("launcher"), PLANE, Client.named("acme"), "dayflylocal", WORKER, **options
    )


def test_the_launcher_is_the_projects_file_but_for_the_one_literal() -> None:
    definition = copy.deepcopy(put()["properties"]["definition"])
    [trigger] = definition["triggers"].values()
    assert trigger["runtimeConfiguration"]["concurrency"].pop("runs") == 3
    original = find_definition("launcher")
    [trigger] = original["triggers"].values()
    del trigger["runtimeConfiguration"]["concurrency"]["runs"]
    assert definition == original


@pytest.mark.parametrize("name", ["launcher", "housekeeper"])
def test_every_parameter_that_is_given_exists_and_none_is_missing(name: str) -> None:
    definition = find_definition(name)
    if name == "launcher":
        given = put()["properties"]["parameters"]
    else:
        given = housekeeper(definition, PLANE, [Client.named("acme")], "dayflylocal", {})["properties"][
            "parameters"
        ]
    declared = definition["parameters"]
    assert set(given) <= set(declared)
    assert {key for key, entry in declared.items() if "defaultValue" not in entry} <= set(given)


def test_keys_reach_the_worker_as_secure_values_only() -> None:
    parameters = put()["properties"]["parameters"]
    assert parameters["environment"]["value"] == [{"name": "OPENAI_MODEL", "value": "m"}]
    secure = {
        each["name"]: each["secureValue"] for each in parameters["secureEnvironment"]["value"]["variables"]
    }
    assert secure == {name: value for name, value in WORKER.items() if name != "OPENAI_MODEL"}


def test_another_engines_launcher_is_put_but_does_not_poll() -> None:
    assert put(enabled=False)["properties"]["state"] == "Disabled"
    assert put()["properties"]["state"] == "Enabled"


def test_storage_is_named_as_in_azure() -> None:
    parameters = {name: entry["value"] for name, entry in put()["properties"]["parameters"].items()}
    assert parameters["queueEndpoint"] == "https://dayflylocal.queue.core.windows.net"
    assert parameters["image"] == WORKER_IMAGE
    assert parameters["resourceGroupId"] == GROUP


def test_a_definition_is_found_from_inside_a_project(tmp_path: Path) -> None:
    folder = tmp_path / "infra" / "workflows"
    folder.mkdir(parents=True)
    (folder / "launcher.json").write_text(json.dumps({"mine": True}))
    (tmp_path / "docs").mkdir()
    assert find_definition("launcher", tmp_path / "docs") == {"mine": True}


def test_a_definition_that_is_nowhere_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"infra/workflows/nothing\.json is not to be found"):
        find_definition("nothing", tmp_path)
    (tmp_path / "infra" / "workflows").mkdir(parents=True)
    (tmp_path / "infra" / "workflows" / "launcher.json").write_text("{")
    with pytest.raises(SetupError, match="is no JSON"):
        find_definition("launcher", tmp_path)
