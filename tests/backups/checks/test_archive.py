import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from backups.archive.encryption import make_pair
from backups.checks.archive import check_archive

FOLDER = "backups.archive.folder_storage.FolderStorage"
OBSTORE = "backups.archive.obstore_storage.ObstoreStorage"
S3 = "storages.backends.s3.S3Storage"
MEMORY = "django.core.files.storage.InMemoryStorage"
NEEDS_STORAGES = pytest.mark.proof  # `make test` runs without django-storages
S3_OPTIONS = {"bucket_name": "b", "file_overwrite": False, "max_memory_size": 8 * 1024**2}


@pytest.fixture(autouse=True)
def _encrypted(settings: Settings) -> None:
    settings.BACKUPS_RECIPIENTS = [make_pair()[1]]


def store_in(settings: Settings, backend: str, **options: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "backups": {"BACKEND": backend, "OPTIONS": options},
    }


def the_message() -> CheckMessage:
    [message] = check_archive()
    assert message.hint
    return message


def test_a_site_that_sets_nothing_passes(settings: Settings) -> None:
    del settings.BACKUPS_RECIPIENTS
    assert check_archive() == []


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (FOLDER, {"location": "/srv/backups"}),
        ("django.core.files.storage.FileSystemStorage", {"location": "/srv/backups"}),
        (OBSTORE, {"url": "s3://bucket/prefix"}),
        (OBSTORE, {"url": "gs://bucket"}),
        (OBSTORE, {"url": "s3://bucket", "endpoint": "https://s3.example.com"}),
        (OBSTORE, {"url": "s3://bucket", "endpoint": "http://127.0.0.1:9000"}),
        (OBSTORE, {"url": "s3://bucket", "endpoint": "http://nas.local", "allow_http": True}),
        pytest.param(S3, S3_OPTIONS, marks=NEEDS_STORAGES),
        (MEMORY, {}),
    ],
)
def test_a_storage_that_is_set_up_well_passes(
    settings: Settings, backend: str, options: dict[str, Any]
) -> None:
    store_in(settings, backend, **options)
    assert check_archive() == []


@pytest.mark.parametrize("level", [0, 23, -1, 3.0, "3", None, True])
def test_a_level_out_of_range_is_an_error(settings: Settings, level: Any) -> None:
    settings.BACKUPS_COMPRESSION_LEVEL = level
    message = the_message()
    assert (message.id, message.is_serious()) == ("backups.E100", True)
    assert f"not {level!r}" in message.msg


@pytest.mark.parametrize("given", ["age1abc", None, [None], [b"age1abc"]])
def test_recipients_that_are_no_list_are_an_error(settings: Settings, given: Any) -> None:
    settings.BACKUPS_RECIPIENTS = given
    assert the_message().id == "backups.E101"


def test_each_recipient_that_is_no_key_is_an_error(settings: Settings) -> None:
    settings.BACKUPS_RECIPIENTS = ["age1nonsense", make_pair()[1], "ssh-rsa nonsense"]
    messages = check_archive()
    assert [message.id for message in messages] == ["backups.E102"] * 2
    assert "age1nonsense" in messages[0].msg
    assert all(message.hint for message in messages)


def test_a_secret_key_among_the_recipients_is_an_error_that_does_not_repeat_it(
    settings: Settings,
) -> None:
    secret, _ = make_pair()
    settings.BACKUPS_RECIPIENTS = [secret]
    message = the_message()
    assert message.id == "backups.E102"
    assert secret not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(
    ("backend", "options", "words"),
    [
        ("backups.nothing.Storage", {}, "names no storage"),
        ("nonsense", {}, "names no storage"),
        (FOLDER, {"nonsense": 1}, "names no storage"),
        (S3, {**S3_OPTIONS, "nonsense": 1}, "names no storage"),
        (OBSTORE, {}, "names no storage"),
        (OBSTORE, {"url": "bucket"}, "should be like s3://bucket/prefix"),
        (OBSTORE, {"url": "s3:///prefix"}, "should be like s3://bucket/prefix"),
        (OBSTORE, {"url": "file:///srv"}, "should be like s3://bucket/prefix"),
        (OBSTORE, {"url": "s3://b", "endpoint": "s3.example.com"}, "should be like https://"),
        (OBSTORE, {"url": "s3://b", "endpoint": "http://s3.example.com"}, "plain http"),
        (OBSTORE, {"url": "s3://b", "config": {"nonsense": "1"}}, "can't be used"),
    ],
)
def test_a_storage_that_can_not_be_loaded_is_an_error(
    settings: Settings, backend: str, options: dict[str, Any], words: str
) -> None:
    store_in(settings, backend, **options)
    message = the_message()
    assert (message.id, message.is_serious()) == ("backups.E103", True)
    assert words in message.msg
    assert "STORAGES['backups']" in f"{message.msg} {message.hint}" or "http" in message.msg


def test_the_option_that_allows_plain_http_is_named_with_its_place(settings: Settings) -> None:
    store_in(settings, OBSTORE, url="s3://bucket", endpoint="http://nas.local")
    assert "allow_http in the OPTIONS of STORAGES['backups']" in (the_message().hint or "")


@pytest.mark.parametrize(
    "options",
    [
        {"url": "s3://AKIA:hidden@bucket"},
        {"url": "s3://bucket", "endpoint": "https://AKIA:hidden@s3.example.com"},
    ],
)
def test_keys_in_an_address_are_refused_and_not_repeated(
    settings: Settings, options: dict[str, Any]
) -> None:
    store_in(settings, OBSTORE, **options)
    message = the_message()
    assert message.id == "backups.E103"
    assert "hidden" not in f"{message.msg} {message.hint}"


@pytest.mark.parametrize(
    ("package", "extra", "number"), [("obstore", "s3", "E103"), ("pyrage", "age", "E102")]
)
def test_a_package_that_is_missing_is_an_error_that_says_how_to_install_it(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    extra: str,
    number: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    store_in(settings, OBSTORE, url="s3://bucket")
    message = next(each for each in check_archive() if each.id == f"backups.{number}")
    assert f"need{'s' * (package == 'pyrage')} the package {package}" in message.msg
    assert message.hint == f"Install it: pip install 'django-restorable[{extra}]'"


@NEEDS_STORAGES
def test_a_storage_that_replaces_files_is_an_error(settings: Settings) -> None:
    store_in(settings, S3, **S3_OPTIONS | {"file_overwrite": True})
    message = the_message()
    assert (message.id, message.is_serious()) == ("backups.E104", True)
    assert "file_overwrite" in str(message.hint)


@NEEDS_STORAGES
def test_a_storage_that_reads_all_into_memory_is_a_warning(settings: Settings) -> None:
    store_in(settings, S3, **S3_OPTIONS | {"max_memory_size": 0})
    message = the_message()
    assert (message.id, message.is_serious()) == ("backups.W100", False)


@NEEDS_STORAGES
def test_a_storage_that_the_world_can_read_is_an_error(settings: Settings) -> None:
    store_in(settings, S3, **S3_OPTIONS, default_acl="public-read")
    assert the_message().id == "backups.E105"


@pytest.mark.parametrize(
    ("backend", "options"),
    [pytest.param(S3, S3_OPTIONS, marks=NEEDS_STORAGES), (OBSTORE, {"url": "s3://b"})],
)
def test_backups_that_leave_the_machine_unencrypted_are_a_warning(
    settings: Settings, backend: str, options: dict[str, Any]
) -> None:
    settings.BACKUPS_RECIPIENTS = []
    store_in(settings, backend, **options)
    message = the_message()
    assert (message.id, message.is_serious()) == ("backups.W101", False)


@pytest.mark.parametrize("name", ["MEDIA_ROOT", "STATIC_ROOT", "STATICFILES_DIRS"])
@pytest.mark.parametrize("inner", ["", "deeper/backups"])
def test_a_folder_that_is_served_is_an_error(
    settings: Settings, tmp_path: Path, name: str, inner: str
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (tmp_path / "link").symlink_to(served)
    setattr(settings, name, [served] if name == "STATICFILES_DIRS" else str(served))
    store_in(settings, FOLDER, location=tmp_path / "link" / inner)
    message = the_message()
    assert (message.id, message.is_serious()) == ("backups.E106", True)
    assert name in message.msg
    store_in(settings, FOLDER, location=tmp_path / "served-not")
    assert check_archive() == []
