import pytest
from dayfly_cli.environment import Given, Service, read_environment
from dayfly_cli.errors import InputError


def test_nothing_set_means_stand_ins_for_everything() -> None:
    assert read_environment({"PATH": "/bin", "OPENAI_API_KEY": ""}) == Given()


def test_what_is_set_takes_the_place_of_its_stand_in() -> None:
    given = read_environment(
        {
            "INTERNAL_API_KEY": "k",
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_API_BASE": "http://127.0.0.1:9/v1/",
            "SUPABASE_URL": "https://x.supabase.co/",
            "SUPABASE_KEY": "service",
            "OPENAI_MODEL": "gpt-x",
            "WORKER_TASK_TIMEOUT": "60",
            "WEBHOOK_SECRET": "whsec_x",
            "WORKER_MODE": "once",
            "AZURE_STORAGE_CONNECTION_STRING": "AccountName=production",
        }
    )
    assert given.internal_api_key == "k"
    assert given.openai == Service("http://127.0.0.1:9/v1", "sk-1")
    assert given.supabase == Service("https://x.supabase.co", "service")
    assert given.worker == {"OPENAI_MODEL": "gpt-x", "WORKER_TASK_TIMEOUT": "60", "WEBHOOK_SECRET": "whsec_x"}


def test_a_key_alone_means_openai_itself_and_a_base_alone_a_server_without_keys() -> None:
    assert read_environment({"OPENAI_API_KEY": "sk-1"}).openai == Service("https://api.openai.com/v1", "sk-1")
    assert read_environment({"OPENAI_API_BASE": "http://h/v1"}).openai == Service("http://h/v1", "none")


@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_KEY"])
def test_half_a_pair_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is set and SUPABASE_.* is not"):
        read_environment({name: "https://x"})


def test_what_the_worker_would_refuse_is_refused_before_anything_starts() -> None:
    with pytest.raises(InputError, match=r"WORKER_TASK_TIMEOUT=abc: .*; WORKER_MAX_ATTEMPTS=0: should be"):
        read_environment({"WORKER_TASK_TIMEOUT": "abc", "WORKER_MAX_ATTEMPTS": "0", "WEBHOOK_MAX_AGE": ""})


def test_what_an_earlier_up_exported_is_left_aside() -> None:
    assert (
        read_environment({"DAYFLY_UP": "17", "OPENAI_API_KEY": "sk-local", "INTERNAL_API_KEY": "k"})
        == Given()
    )


def test_secrets_are_not_shown() -> None:
    given = read_environment(
        {"OPENAI_API_KEY": "sk-secret", "INTERNAL_API_KEY": "hush", "WEBHOOK_SECRET": "whsec"}
    )
    assert not any(secret in repr(given) for secret in ("sk-secret", "hush", "whsec"))
    assert given.names() == ["INTERNAL_API_KEY", "OPENAI_API_KEY / OPENAI_API_BASE", "WEBHOOK_SECRET"]
