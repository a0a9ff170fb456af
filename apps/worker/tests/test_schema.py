"""The SQL: applied twice, rights as narrow as the work, printed by a command."""

import subprocess
import sys
from typing import Any
from uuid import UUID

import psycopg
import pytest
from worker.schema import schema_sql


def test_applying_it_again_keeps_what_is_there(supabase: Any) -> None:
    supabase.run("insert into documents (vector, filename, content) values ('[1,2,3,4,5,6,7,8]', 'a', 'b')")
    supabase.run(schema_sql(dimensions=8))
    assert supabase.rows("select filename, document_set, content, metadata from documents") == [
        ("a", "default", "b", {})
    ]


def test_it_goes_over_tables_of_an_older_system(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create database older")
    try:
        with psycopg.connect(database_url, dbname="older", autocommit=True) as connection:
            connection.execute("create extension vector")
            connection.execute(
                "create table documents (id uuid primary key, vector vector(8) not null, filename text, "
                "document_set text, content text, metadata jsonb, created_at timestamptz not null)"
            )
            connection.execute("create table summaries (id bigserial primary key, filename text unique, "
                               "summary_text text)")  # fmt: skip
            connection.execute("insert into summaries (filename, summary_text) values ('a.pdf', 'old')")
            connection.execute(schema_sql(dimensions=8))
            answer = connection.execute(
                "select publish_summary('default', 'a.pdf', 'new', '{}', 'documents/a.pdf', now(), 'e1')"
            ).fetchone()
            assert answer is not None
            assert answer[0]["state"] == "published"
            assert connection.execute("select summary_text from summaries").fetchall() == [("new",)]
            publication = UUID(int=1)
            connection.execute(
                "insert into documents_staging (publication, position, vector, content) "
                "values (%s, 0, '[1,2,3,4,5,6,7,8]', 'text')",
                [publication],
            )
            connection.execute(
                "select publish_documents(%s, 'default', 'a.pdf', 1, 'documents/a.pdf', now(), 'e1')",
                [publication],
            )
            assert connection.execute("select content from documents").fetchall() == [("text",)]
            closed = "select relname from pg_class where relrowsecurity and relkind = 'r' order by relname"
            assert connection.execute(closed).fetchall() == [("documents_staging",), ("documents_versions",)]
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("drop database older")


def test_it_makes_the_role_where_there_is_none(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(schema_sql("other", 3, "dayfly_worker").replace("commit;", ""))
        roles = connection.execute("select rolbypassrls from pg_roles where rolname = 'dayfly_worker'")
        assert roles.fetchall() == [(False,)]
        connection.execute("set local role dayfly_worker")
        connection.execute("select * from other")
        connection.rollback()


@pytest.mark.parametrize(
    ("role", "statement", "allowed"),
    [
        ("worker_only", "select count(*) from documents", True),
        ("worker_only", "delete from documents", True),
        ("worker_only", "insert into documents_staging (publication, position, vector, content) "
                        "values (gen_random_uuid(), 0, '[1,2,3,4,5,6,7,8]', 'x')", True),
        ("worker_only", "select publish_summary('d', 'f', 's', '{}', 'c/p', now(), 'e')", True),
        ("worker_only", "insert into documents (vector, filename, content) "
                        "values ('[1,2,3,4,5,6,7,8]', 'a', 'b')", False),
        ("worker_only", "update documents set content = ''", False),
        ("worker_only", "delete from documents_versions", False),
        ("worker_only", "insert into summaries (filename, summary_text) values ('a', 'b')", False),
        ("anon", "select publish_summary('d', 'f', 's', '{}', 'c/p', now(), 'e')", False),
        ("anon", "select * from documents_staging", False),
        ("authenticated", "select * from documents_versions", False),
    ],
)  # fmt: skip
def test_each_role_may_do_its_own_work_and_no_more(
    database_url: str, role: str, statement: str, allowed: bool
) -> None:
    with psycopg.connect(database_url) as connection:
        # As on Supabase, where new tables and functions are granted to the public key's roles.
        connection.execute(
            "alter default privileges in schema public grant all on tables to anon, authenticated"
        )
        connection.execute(
            "alter default privileges in schema public grant all on functions to anon, authenticated"
        )
        connection.execute("drop table documents, documents_staging, documents_versions, summaries cascade")
        connection.execute(schema_sql("documents", 8, "worker_only").replace("commit;", ""))
        connection.execute(f"set local role {role}")
        if allowed:
            connection.execute(statement)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        connection.rollback()


def test_a_reader_with_the_public_key_sees_no_documents(supabase: Any) -> None:
    supabase.run("insert into documents (vector, filename, content) values ('[1,2,3,4,5,6,7,8]', 'a', 'b')")
    with psycopg.connect(supabase.database_url) as connection:
        connection.execute("grant select on documents to anon")
        connection.execute("set local role anon")
        assert connection.execute("select * from documents").fetchall() == []
        connection.rollback()


def schema_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "worker.schema", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_it_with_the_names_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTOR_TABLE_NAME", "acme_chunks")
    monkeypatch.setenv("OPENAI_EMBEDDING_DIMENSIONS", "384")
    done = subprocess.run(
        [sys.executable, "-m", "worker.schema", "--role", "dayfly_worker"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == schema_sql("acme_chunks", 384, "dayfly_worker")
    assert "__" not in done.stdout


@pytest.mark.parametrize(
    ("variable", "value"), [("VECTOR_TABLE_NAME", "a; drop table b"), ("OPENAI_EMBEDDING_DIMENSIONS", "many")]
)
def test_the_command_names_a_malformed_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = subprocess.run(
        [sys.executable, "-m", "worker.schema"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert variable in done.stderr
    assert "Traceback" not in done.stderr


def test_a_role_that_is_no_identifier_is_refused() -> None:
    with pytest.raises(ValueError, match="no role name"):
        schema_sql(role="a; drop role b")
