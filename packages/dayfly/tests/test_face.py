"""The package's face."""

import subprocess
import sys

import dayfly


def test_every_public_name_is_there_and_the_list_is_sorted() -> None:
    assert dayfly.__all__ == sorted(dayfly.__all__, key=lambda name: (name.islower(), name))
    assert all(getattr(dayfly, name) for name in dayfly.__all__)


def test_a_handler_process_loads_nothing_of_azure() -> None:
    program = "import sys, dayfly.child; print([m for m in sys.modules if m.startswith(('azure', 'httpx'))])"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
