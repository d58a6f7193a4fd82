"""
How SQLite would run a statement, by ``EXPLAIN QUERY PLAN``: known of SQLite 3.40 and later.

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


def scans_table(step: str, table: str) -> bool:
    """Whether a step reads the whole table, and no index in its place."""
    return step == f"SCAN {table}"


def scans_index(step: str, table: str, index: str) -> bool:
    """Whether it reads the whole index."""
    return step in [f"SCAN {table} USING {kind} {index}" for kind in ("INDEX", "COVERING INDEX")]


def searches_index(step: str, table: str, index: str, *, terms: int, is_covering: bool) -> bool:
    """
    Whether it searches the index for at least so many columns of its entries.

    :param is_covering: it must read nothing but the index.
    """
    kinds = ["COVERING INDEX"] if is_covering else ["COVERING INDEX", "INDEX"]
    starts = [f"SEARCH {table} USING {kind} {index} (" for kind in kinds]
    return any(step.startswith(each) and step[len(each) :].count("=?") >= terms for each in starts)
