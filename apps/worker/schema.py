"""The SQL of the worker's tables and functions: `python -m worker.schema` prints it.

The names come from the environment: VECTOR_TABLE_NAME, OPENAI_EMBEDDING_DIMENSIONS (1536 if unset).
"""

import argparse
import re
import sys
from importlib.resources import files

from worker.errors import Misconfigured
from worker.settings import load_settings

__all__ = ["schema_sql"]

DEFAULT_DIMENSIONS = 1536
"""What OpenAI's text-embedding-3-small sends."""

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def schema_sql(
    table: str = "documents", dimensions: int = DEFAULT_DIMENSIONS, role: str = "service_role"
) -> str:
    """The SQL, to be applied as owner of the schema `public`, any number of times.

    Args:
        table: name of the table of chunks.
        dimensions: length of its vectors.
        role: the role of SUPABASE_KEY; created where it is missing.

    Raises:
        ValueError: the role is no plain identifier.
    """
    if not _ROLE.fullmatch(role):
        raise ValueError(f"{role!r} is no role name: lower-case letters, digits and _")
    sql = files("worker").joinpath("schema.sql").read_text(encoding="utf-8")
    for token, value in (("__TABLE__", table), ("__DIMENSIONS__", str(dimensions)), ("__ROLE__", role)):
        sql = sql.replace(token, value)
    return sql


def main() -> None:
    """Print the SQL."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.schema",
        description="Print the SQL of the worker's tables and functions.",
        epilog="Example: python -m worker.schema | psql $DATABASE_URL",
    )
    parser.add_argument("--role", default="service_role", help="role of SUPABASE_KEY (default: service_role)")
    role = parser.parse_args().role
    try:
        settings = load_settings()
        dimensions = settings.openai_embedding_dimensions or DEFAULT_DIMENSIONS
        sys.stdout.write(schema_sql(settings.vector_table_name, dimensions, role))
    except (Misconfigured, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
