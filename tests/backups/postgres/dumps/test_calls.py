"""A call that is not known to be harmless is found, however it is written."""

import pytest

from backups.postgres.dumps.calls import find_calls
from backups.postgres.dumps.tokens import split


def calls(expression: str) -> list[str]:
    (tokens,) = split(f"DEFAULT {expression}")
    return list(find_calls(tokens))


@pytest.mark.parametrize(
    "expression",
    [
        "now()",
        "CURRENT_TIMESTAMP",
        "lower((name)::text)",
        "'a'::character varying(20)",
        "'sad'::public.mood",
        "((a >= 0) AND (b = ANY (ARRAY['x'::text, 'y'::text])))",
        "(a IN (1, 2))",
        "CASE WHEN (a > (0)::numeric(10,2)) THEN COALESCE(b, 1) ELSE GREATEST(c, 2) END",
        "EXTRACT(year FROM (born AT TIME ZONE 'UTC'::text))",
        'pg_catalog."overlay"(a, b, 1, 2)',
        "(a OPERATOR(pg_catalog.=) b)",
        "(name COLLATE public.nocase)",
        "'pg_sleep(1)'::text",
        '"pg_sleep"',
    ],
)
def test_what_only_computes_is_no_call(expression: str) -> None:
    assert calls(expression) == []


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("public.f(1)", ["public.f"]),
        ("public . f -- x\n (1)", ["public.f"]),
        ('"public"."f"(1)', ["public.f"]),
        ("pg_sleep(1)", ["pg_sleep"]),
        ("PG_SLEEP (1)", ["pg_sleep"]),
        ('"pg_sleep"(1)', ["pg_sleep"]),
        ('"CHECK"(1)', ["CHECK"]),  # between quotes it is no word of the grammar
        ('"now "()', ["now "]),
        ("public.now()", ["public.now"]),
        ("pg_catalog.pg_terminate_backend(1)", ["pg_catalog.pg_terminate_backend"]),
        ("query_to_xml('SELECT 1'::text, true, true, ''::text)", ["query_to_xml"]),
        ("ts_stat('SELECT 1')", ["ts_stat"]),
        ("set_config('role'::text, 'x'::text, false)", ["set_config"]),
        ("pg_advisory_lock(1)", ["pg_advisory_lock"]),
        ("lower(public.f(upper(x)))", ["public.f"]),
        ("(1)::public.t(2)", ["public.t"]),
        ("(a OPERATOR(public.=) b)", ["operator"]),
        ("(123).pg_cancel_backend", ["PG_CANCEL_BACKEND"]),
        ("a[1].f", ["F"]),
        ("\u212aey(1)", ["\u212aey"]),
    ],
)
def test_anything_else_that_is_called_is_found(expression: str, names: list[str]) -> None:
    assert calls(expression) == names
