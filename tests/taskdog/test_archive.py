from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdog import archive
from tests.processes import run_python

STORAGE, ALLOW_HTTP = "TASKDOG_BACKUP_STORAGE", "TASKDOG_BACKUP_S3_ALLOW_HTTP"
RECIPIENTS = "TASKDOG_BACKUP_RECIPIENTS"
DEFAULT = Path("/srv/backups")


@pytest.mark.parametrize("given", ["/mnt/a:b", "./s3:", "sub/s3:x", "~/backups", "s3"])
def test_a_path_is_a_folder(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE, given)
    folder = archive.storage(DEFAULT)["OPTIONS"]["location"]
    assert folder.is_absolute()
    assert folder.name == Path(given).name


@pytest.mark.parametrize("given", ["s3://bucket/prefix", "gs://bucket", "az://box", "S3://bucket"])
def test_a_url_is_an_object_store(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE, given)
    assert archive.storage(DEFAULT)["OPTIONS"] == {"url": given}


@pytest.mark.parametrize("given", ["s3:/bucket", "s3:bucket", "S3:/bucket", "ftp://x", "file:///x"])
def test_a_mistyped_url_is_no_folder(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE, given)
    with pytest.raises(ImproperlyConfigured, match=f"{STORAGE} is '{given}'; a URL must begin"):
        archive.storage(DEFAULT)


@pytest.mark.parametrize(("given", "options"), [("", {}), ("0", {}), ("1", {"allow_http": True})])
def test_plain_http_is_allowed_only_if_a_variable_says_so(
    given: str, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE, "s3://bucket/prefix")
    monkeypatch.setenv("TASKDOG_BACKUP_S3_ENDPOINT", "http://nas.local")
    monkeypatch.setenv(ALLOW_HTTP, given)
    expected = {"url": "s3://bucket/prefix", "endpoint": "http://nas.local"} | options
    assert archive.storage(DEFAULT)["OPTIONS"] == expected


@pytest.mark.parametrize(
    ("given", "keys"),
    [("", []), ("  ", []), ("age1a", ["age1a"]), ("age1a, age1b,", ["age1a", "age1b"])],
)
def test_recipients_are_separated_by_commas(
    given: str, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RECIPIENTS, given)
    assert archive.recipients() == keys


@pytest.mark.proof
def test_recipients_without_a_key_stop_the_start(tmp_path: Path) -> None:
    _, err, code = run_python(
        "-c", "import taskdog.settings", data_dir=tmp_path, **{RECIPIENTS: " , "}
    )
    assert code == 1
    assert f"ImproperlyConfigured: {RECIPIENTS} is set, but it names no public key" in err
