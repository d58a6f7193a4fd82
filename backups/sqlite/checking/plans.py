"""
How SQLite would run a statement, by ``EXPLAIN QUERY PLAN``.

Source: https://www.sqlite.org/eqp.html
"""

import sqlite3

KNOWN = (3, 40)  # the oldest SQLite whose plans were tried


def read_plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    """
    The steps of a statement's plan.

    :raises sqlite3.Error: it can't be run at all.
    """
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def is_planned(connection: sqlite3.Connection, statement: str, *steps: list[str]) -> bool:
    """
    Whether SQLite would run a statement in these steps.

    :param steps: for each one the texts that it may have. Whole texts: a name can have any letters.
    :raises sqlite3.Error: it can't be run at all.
    """
    plan = read_plan(connection, statement)
    return len(plan) == len(steps) and all(
        step in texts for step, texts in zip(plan, steps, strict=True)
    )
