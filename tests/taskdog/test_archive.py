from pathlib import Path

import pytest

from taskdog import archive

STORAGE, ALLOW_HTTP = "TASKDOG_BACKUP_STORAGE", "TASKDOG_BACKUP_S3_ALLOW_HTTP"
DEFAULT = Path("/srv/backups")


@pytest.mark.parametrize(("given", "options"), [("", {}), ("0", {}), ("1", {"allow_http": True})])
def test_plain_http_is_allowed_only_if_a_variable_says_so(
    given: str, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE, "s3://bucket/prefix")
    monkeypatch.setenv("TASKDOG_BACKUP_S3_ENDPOINT", "http://nas.local")
    monkeypatch.setenv(ALLOW_HTTP, given)
    expected = {"url": "s3://bucket/prefix", "endpoint": "http://nas.local"} | options
    assert archive.storage(DEFAULT)["OPTIONS"] == expected
