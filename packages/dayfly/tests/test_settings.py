"""Settings: read once, refused all at once, and silent about secrets."""

import pytest
from dayfly.errors import SettingsError
from dayfly.settings import Settings

CONNECTION = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0LWtleQ==;"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", CONNECTION)


def test_the_defaults_are_those_of_the_running_system() -> None:
    settings = Settings.load()

    assert settings.client_id == "default"
    assert settings.worker_task_timeout == 1800
    assert settings.worker_polling_interval == 5
    assert settings.worker_visibility_timeout == 120
    assert settings.worker_max_messages == 1
    assert settings.worker_max_attempts == 5
    assert settings.webhook_max_age == 24 * 3600


def test_a_client_names_its_queue_and_container_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_ID", "Acme-North")

    settings = Settings.load()

    assert settings.queue_name == "acme-north-tasks"
    assert settings.poison_queue_name == "acme-north-tasks-poison"
    assert settings.container_name == "acme-north-dayfly"


def test_a_missing_account_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")

    with pytest.raises(SettingsError, match="AZURE_STORAGE_CONNECTION_STRING is missing; or set"):
        Settings.load()


def test_all_malformed_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_MAX_ATTEMPTS", "none")
    monkeypatch.setenv("WORKER_TASK_TIMEOUT", "-1")
    monkeypatch.setenv("CLIENT_ID", "acme--north")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "nonsense")

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    told = "\n".join(caught.value.problems)
    assert "WORKER_MAX_ATTEMPTS" in told
    assert "WORKER_TASK_TIMEOUT" in told
    assert "CLIENT_ID should be letters, digits and single hyphens" in told
    assert "AZURE_STORAGE_CONNECTION_STRING names neither AccountName nor BlobEndpoint" in told


def test_what_is_missing_is_named_beside_what_is_malformed_with_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("MESSAGE_ID", "m1")
    monkeypatch.setenv("WORKER_MAX_ATTEMPTS", "many")
    monkeypatch.setenv("INTERNAL_API_KEY", "k3y-k3y-k3y")

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    told = "\n".join(caught.value.problems)
    assert "AZURE_STORAGE_CONNECTION_STRING is missing" in told
    assert "POP_RECEIPT is missing" in told
    assert "WORKER_MAX_ATTEMPTS" in told
    assert "but is 'many'" in told
    assert "k3y" not in told


def test_a_message_without_its_receipt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGE_ID", "m1")

    with pytest.raises(SettingsError, match="POP_RECEIPT is missing"):
        Settings.load()


def test_secrets_show_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERNAL_API_KEY", "k3y-k3y-k3y")
    monkeypatch.setenv("TASK_DATA", "whole task text")

    shown = repr(Settings.load())

    assert "k3y-k3y" not in shown
    assert "c2VjcmV0" not in shown
    assert "whole task" not in shown
