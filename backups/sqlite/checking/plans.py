"""
How SQLite would run a statement, as ``EXPLAIN QUERY PLAN`` shows it.

Source: https://www.sqlite.org/eqp.html
"""

import sqlite3

KNOWN = (3, 40)  # the oldest SQLite with which we tested the texts of the plans


def read_plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    """
    Return the texts of the steps, in order.

    :raises sqlite3.Error: SQLite can't run the statement at all.
    """
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def is_planned(connection: sqlite3.Connection, statement: str, *steps: list[str]) -> bool:
    """
    Whether SQLite would run a statement in exactly these steps.

    :param steps: the texts that each step may have. Whole texts: a name can look like part of one.
    :raises sqlite3.Error: SQLite can't run the statement at all.
    """
    plan = read_plan(connection, statement)
    return len(plan) == len(steps) and all(
        step in texts for step, texts in zip(plan, steps, strict=True)
    )
