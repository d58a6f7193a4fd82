import pytest
from pytest_django import Settings

from backups.schedule import leader


class EnoughError(Exception):
    """The test has seen enough."""


def test_what_can_not_even_begin_is_tried_later_and_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    begins = [False, False, True, False, False, False, False, False]
    waits: list[float] = []

    def start_run() -> bool:
        if not begins:
            raise EnoughError
        return begins.pop(0)

    monkeypatch.setattr(leader, "_is_under_way", lambda: False)
    monkeypatch.setattr(leader, "_seconds_left", lambda: 0.0)
    monkeypatch.setattr(leader, "_start_run", start_run)
    monkeypatch.setattr(leader, "_wait", waits.append)
    with pytest.raises(EnoughError):
        leader._lead()
    assert waits == [600, 1200, 600, 1200, 2400, 3600, 3600]
