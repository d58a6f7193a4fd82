from typing import Any

import pytest
from django.core.checks import registry
from pytest_django import Settings

from backups.checks.retention import check_retention


def test_the_default_passes() -> None:
    assert check_retention() == []
    assert check_retention in set[object](registry.registry.get_checks())


@pytest.mark.parametrize("keep", [None, {"last": 1}, {"yearly": 3, "last": 0}])
def test_right_rules_pass(keep: Any, settings: Settings) -> None:
    settings.BACKUPS_KEEP = keep
    assert check_retention() == []


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        ("last", "'last', which is not a dict"),
        ({"newest": 3}, "'newest', which is none of: last, hourly, daily"),
        ({"daily": -1}, "-1 for 'daily', which is not a number"),
        ({"daily": "7"}, "'7' for 'daily', which is not a number"),
        ({}, "no number above 0: only the last good one would stay"),
        ({"last": 0}, "no number above 0: only the last good one would stay"),
    ],
)
def test_wrong_rules_are_named_with_a_hint(keep: Any, words: str, settings: Settings) -> None:
    settings.BACKUPS_KEEP = keep
    (message,) = check_retention()
    assert message.id == "backups.E108"
    assert words in message.msg
    assert message.hint is not None
    assert "None to keep everything" in message.hint
