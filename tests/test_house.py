"""The house's own rules, held by machines."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def git_files(pattern: str) -> list[Path]:
    told = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in told.stdout.splitlines()]


def test_nobody_imports_what_it_should_not_know() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    told = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout


def test_every_dependency_is_pinned_with_its_hash_and_no_address() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

        assert all("==" in pin for pin in pins), lock
        assert text.count("--hash=sha256:") >= len(pins), lock
        assert "://" not in text, lock


def test_every_dependency_that_a_package_names_is_locked() -> None:
    import tomllib

    locked = {line.split("==")[0] for line in (ROOT / "requirements/dev.txt").read_text().splitlines()}
    ours = {"dayfly", "localazure", "dayfly-cli", "dayfly-worker"}
    for project in git_files("*pyproject.toml"):
        for dependency in tomllib.loads(project.read_text())["project"].get("dependencies", []):
            name = dependency.split(">")[0].split("[")[0].strip()
            assert name in locked | ours, f"{project.parent.name} names {dependency}: run `make lock`"


def test_no_python_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in git_files("*.py")
        if (count := len(path.read_text().splitlines())) > 600
    }

    assert long == {}
