import os
from pathlib import Path

from dayfly_cli.postgres import reachable_by_all, within_reach
from dayfly_cli.processes import Account


def test_a_folder_below_a_private_one_is_not_reachable_by_all(tmp_path: Path) -> None:
    closed = tmp_path / "private"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    assert not reachable_by_all(closed / "inner")
    assert reachable_by_all(Path("/usr/bin"))


def test_data_that_an_account_cannot_reach_is_lent_to_it_and_comes_back(tmp_path: Path) -> None:
    closed = tmp_path / "private"
    closed.mkdir(mode=0o700)
    ourselves = Account(os.getuid(), os.getgid())
    for start in range(2):
        with within_reach(closed / "postgres", ourselves) as data:
            assert data.parent.parent == Path("/var/tmp")
            assert data.is_dir() == bool(start)
            data.mkdir(exist_ok=True)
        assert (closed / "postgres").is_dir()
        assert not data.parent.exists()
    assert [path.name for path in closed.iterdir()] == ["postgres"]


def test_data_that_a_killed_start_left_elsewhere_is_found_again(tmp_path: Path) -> None:
    closed = tmp_path / "private"
    closed.mkdir(mode=0o700)
    ourselves = Account(os.getuid(), os.getgid())
    killed = within_reach(closed / "postgres", ourselves)
    data = killed.__enter__()
    data.mkdir()
    with within_reach(closed / "postgres", ourselves) as found:
        assert found == data
    assert (closed / "postgres").is_dir()


def test_data_within_reach_stays_where_it_is(tmp_path: Path) -> None:
    with within_reach(tmp_path / "postgres", None) as data:
        assert data == tmp_path / "postgres"
