import os
import stat
from pathlib import Path

import pytest
from dayfly_cli.errors import NotRunningError, SetupError
from dayfly_cli.state import State, find_state


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.prepare()
    return state


def description(pid: int) -> dict[str, object]:
    return {"pid": pid, "environment": {"OPENAI_API_KEY": "it's secret"}}


def test_what_runs_is_announced_for_as_long_as_it_runs(state: State) -> None:
    with state.announced(description(os.getpid())):
        assert state.running()["pid"] == os.getpid()
        assert state.env_sh.read_text() == "export OPENAI_API_KEY='it'\"'\"'s secret'\n"
    with pytest.raises(NotRunningError, match="no `dayfly up` is running"):
        state.running()
    assert not state.env_sh.exists()


def test_an_up_that_was_killed_is_not_taken_for_running(state: State) -> None:
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    with state.announced(description(gone)), pytest.raises(NotRunningError):
        state.running()


def test_two_ups_do_not_share_a_folder(state: State) -> None:
    with state.locked(), pytest.raises(SetupError, match="another `dayfly up` is using"), state.locked():
        pass
    with state.locked():
        pass


def test_keys_are_for_the_owner_alone(state: State) -> None:
    state.secret("key", lambda: "value")
    with state.announced(description(1)):
        for path in (state.folder / "secrets.json", state.up_json, state.env_sh):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_stays_the_same(state: State) -> None:
    assert state.secret("key", lambda: "first") == "first"
    assert State(state.folder).secret("key", lambda: "second") == "first"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be made"):
        State(tmp_path / "file" / "state").prepare()


def test_the_folder_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dayfly").mkdir()
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert find_state(None).folder == tmp_path / ".dayfly"
    monkeypatch.setenv("DAYFLY_STATE", str(tmp_path / "other"))
    assert find_state(None).folder == tmp_path / "other"
    assert find_state(tmp_path / "own").folder == tmp_path / "own"


def test_damaged_secrets_are_told_by_the_file(state: State) -> None:
    (state.folder / "secrets.json").write_text("{half")
    with pytest.raises(SetupError, match=r"secrets\.json is damaged"):
        state.secret("key", lambda: "new")
