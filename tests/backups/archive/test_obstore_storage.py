"""Against real S3 servers: a small one that promises little, and one that is strict."""

import json
import multiprocessing
import os
import random
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from django.core.files.base import ContentFile
from django.utils.timezone import is_aware
from pytest_django import Settings

from backups.archive import object_store, obstore_storage
from backups.archive.obstore_storage import PART_BYTES, ObstoreStorage
from backups.archive.storage import StoredFiles
from backups.exceptions import StorageError, WrongLengthError
from tests import s3_servers
from tests.backups.wire import standing_in
from tests.s3_servers import SECRET, S3Server

pytestmark = pytest.mark.proof

KiB, MiB = 1024, 1024**2
CERTIFICATE = Path(__file__).parents[1] / "client/loopback.pem"
REFUSED = r"the server (refused it|answered 403)"


def new_prefix() -> str:
    return f"p{uuid4().hex[:8]}"


def chunks(size: int, seed: int = 1) -> Iterator[bytes]:
    """As many bytes, which nothing can pack, 256 KiB at a time."""
    source = random.Random(seed)
    while size > 0:
        yield source.randbytes(min(size, 256 * KiB))
        size -= 256 * KiB


def content(size: int, seed: int = 1) -> bytes:
    return b"".join(chunks(size, seed))


def unfinished(server: S3Server) -> list[str]:
    """The uploads of these tests that nobody ended. Others kill backups on the same server."""
    return [name for name in server.unfinished() if "-backup-" not in name]


@pytest.fixture
def storage(server: S3Server) -> ObstoreStorage:
    return ObstoreStorage(**server.options(new_prefix()))


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine stands before a server."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def files(storage: ObstoreStorage) -> StoredFiles:
    return StoredFiles(storage)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7])
def test_a_file_comes_back_as_it_was_stored(files: StoredFiles, size: int) -> None:
    files.create("a.db.zst", chunks(size))
    assert files.read("a.db.zst") == content(size)
    assert files.size("a.db.zst") == size
    assert files.sizes() == {"a.db.zst": size}


def test_djangos_own_methods_work(storage: ObstoreStorage, settings: Settings) -> None:
    settings.USE_TZ = True
    before = datetime.now(UTC) - timedelta(seconds=2)
    assert storage.save("folder/a.txt", ContentFile(b"hello")) == "folder/a.txt"
    storage.save("b.txt", ContentFile(b"bye"))
    assert storage.listdir("") == (["folder"], ["b.txt"])
    assert storage.listdir("folder") == ([], ["a.txt"])
    assert storage.exists("folder/a.txt")
    assert not storage.exists("folder")
    written = storage.get_modified_time("b.txt")
    assert is_aware(written)
    assert before <= written <= datetime.now(UTC) + timedelta(seconds=2)
    with storage.open("folder/a.txt") as file:
        assert file.read(2) == b"he"
        assert file.read() == b"llo"
    storage.delete("b.txt")
    storage.delete("b.txt")
    assert not storage.exists("b.txt")
    with pytest.raises(FileNotFoundError):
        storage.open("b.txt")
    with pytest.raises(FileNotFoundError):
        storage.size("b.txt")


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 0), (0, 99), (1, 1), (1 * MiB - 1, 1 * MiB), (2 * MiB, None), (3 * MiB - 5, 9 * MiB)],
)
def test_a_range_is_right_also_where_the_server_sends_everything(
    files: StoredFiles, first: int, last: int | None
) -> None:
    files.create("a", chunks(3 * MiB))
    end = None if last is None else last + 1
    assert b"".join(files.chunks("a", first, last)) == content(3 * MiB)[first:end]


@pytest.mark.parametrize("size", [5, PART_BYTES + 5])
def test_a_taken_name_is_refused_and_keeps_its_file(files: StoredFiles, size: int) -> None:
    files.create("a", [b"the first"])
    with pytest.raises(FileExistsError):
        files.create("a", chunks(size))
    assert files.read("a") == b"the first"


@pytest.mark.parametrize("size", [5, PART_BYTES + 5])
def test_of_many_who_take_a_name_at_once_one_gets_it(seaweedfs: S3Server, size: int) -> None:
    prefix, outcomes = new_prefix(), []
    barrier = threading.Barrier(6)

    def store(seed: int) -> None:
        files = StoredFiles(ObstoreStorage(**seaweedfs.options(prefix)))
        source = chunks(size, seed)
        barrier.wait()
        try:
            files.create("a", source)
            outcomes.append(seed)
        except FileExistsError:
            outcomes.append(0)

    threads = [threading.Thread(target=store, args=(seed,)) for seed in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [seed for seed in outcomes if seed]
    files = StoredFiles(ObstoreStorage(**seaweedfs.options(prefix)))
    assert files.read("a") == content(size, winner)
    assert files.sizes() == {"a": size}
    assert not unfinished(seaweedfs)


def test_a_name_that_is_taken_during_a_long_upload_keeps_its_file(
    server: S3Server, files: StoredFiles, storage: ObstoreStorage
) -> None:
    def source() -> Iterator[bytes]:
        yield from chunks(2 * PART_BYTES)
        storage.save("a", ContentFile(b"of another machine"))  # too small to need a claim

    with pytest.raises(FileExistsError):
        files.create("a", source())
    assert files.read("a") == b"of another machine"
    assert not unfinished(server)


@pytest.mark.parametrize("error", [WrongLengthError("cut off"), KeyboardInterrupt(), OSError("x")])
def test_a_source_that_fails_leaves_nothing(
    server: S3Server, files: StoredFiles, error: BaseException
) -> None:
    def source() -> Iterator[bytes]:
        yield from chunks(3 * PART_BYTES)
        raise error

    with pytest.raises(type(error)) as caught:
        files.create("a", source())
    assert caught.value is error
    assert files.sizes() == {}
    assert not unfinished(server)
    assert not [name for name in server.names() if "claims" in name and name.endswith("/a")]


def test_a_claim_of_a_killed_process_is_removed_after_a_day(
    storage: ObstoreStorage, files: StoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.save("claims/killed", ContentFile(b""))
    files.create("a", chunks(PART_BYTES + 1))
    assert storage.exists("claims/killed")
    monkeypatch.setattr(obstore_storage, "CLAIM_LIFE", timedelta(days=-1))
    files.create("b", chunks(PART_BYTES + 1))
    assert not storage.exists("claims/killed")
    assert set(files.sizes()) == {"a", "b"}


def test_a_name_that_an_upload_has_claimed_is_taken(
    storage: ObstoreStorage, files: StoredFiles
) -> None:
    files.create("a", [b"1"])
    assert files.taken() == {"a"}
    storage.save("claims/killed", ContentFile(b""))
    assert files.taken() == {"a", "killed"}
    assert set(files.sizes()) == {"a"}


def test_a_file_of_too_many_parts_gets_larger_ones(
    seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obstore_storage, "MOST_PARTS", 3)
    files, size = StoredFiles(ObstoreStorage(**seaweedfs.options(prefix := new_prefix()))), 6
    files.create("a", chunks(size * PART_BYTES), at_most=size * PART_BYTES)
    assert files.read("a") == content(size * PART_BYTES)
    tag = seaweedfs.client.head_object(Bucket=s3_servers.BUCKET, Key=f"{prefix}/a")["ETag"]
    assert tag.endswith('-3"'), "S3 puts the number of parts into this"


def test_a_file_can_be_copied_from_one_place_to_another(server: S3Server) -> None:
    one = StoredFiles(ObstoreStorage(**server.options(new_prefix())))
    other = StoredFiles(ObstoreStorage(**server.options(new_prefix())))
    one.create("a", chunks(3 * PART_BYTES))
    other.create("b", one.chunks("a"))
    assert other.read("b") == content(3 * PART_BYTES)


def test_a_small_file_is_replaced(files: StoredFiles) -> None:
    files.create("a.json", [b"1"])
    files.replace("a.json", b"22")
    files.replace("new.json", b"3")
    assert files.read("a.json") == b"22"
    assert files.sizes() == {"a.json": 2, "new.json": 1}


def test_a_large_file_takes_little_memory(rclone: S3Server) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_store_and_read, args=(rclone.options(new_prefix()),)
    )
    process.start()
    process.join()
    assert process.exitcode == 0


def _store_and_read(options: dict[str, object]) -> None:
    files = StoredFiles(ObstoreStorage(**options))  # type: ignore[arg-type]
    files.create("small", chunks(PART_BYTES + 1))
    for _ in files.chunks("small"):
        pass
    chunk = os.urandom(256 * KiB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files.create("large", (chunk for _ in range(800)))
    assert sum(map(len, files.chunks("large"))) == 200 * MiB
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * KiB
    assert grown < 32 * MiB, grown


# A storage that fails


@pytest.mark.parametrize("options", [{"access_key_id": "AKIANOBODY"}, {"secret_access_key": "no"}])
def test_wrong_keys_are_refused_in_a_sentence_without_them(
    server: S3Server, options: dict[str, str]
) -> None:
    given = server.options(new_prefix())
    given["config"] |= options
    files = StoredFiles(ObstoreStorage(**given))
    for act in (
        files.sizes,
        lambda: files.create("a", [b"x"]),
        lambda: files.create("b", chunks(PART_BYTES + 1)),
        lambda: files.read("a"),
        lambda: files.delete("a"),
    ):
        with pytest.raises(StorageError, match=REFUSED) as caught:
            act()
        assert str(caught.value).count("\n") == 0
        assert SECRET not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_bucket_that_is_not_there_is_named(server: S3Server) -> None:
    files = StoredFiles(ObstoreStorage(**server.options() | {"url": "s3://no-such-bucket/p"}))
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/p at http\S+: .*NoSuchBucket"):
        files.sizes()


def test_a_process_that_was_forked_is_told_so_and_does_not_hang(
    files: StoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.sizes()
    monkeypatch.setattr(object_store, "_used_in", os.getppid())
    with pytest.raises(StorageError, match="forked"):
        files.sizes()


def test_a_server_that_is_not_there_is_reported() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and doesn't listen
        options = S3Server(f"http://127.0.0.1:{taken.getsockname()[1]}", None).options()  # type: ignore[arg-type]
        files = StoredFiles(ObstoreStorage(**options))
        with pytest.raises(StorageError, match="the server does not answer"):
            files.create("a", [b"x"])


def test_a_certificate_that_nobody_trusts_is_named_as_the_cause() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with standing_in(lambda request: request.reply(200, {}, b""), context) as server:
        said = why_not(server.url)
    assert said.endswith(": its certificate is not accepted: it is self-signed.")


def test_a_server_without_tls_and_a_name_of_nobody_are_named_as_the_cause() -> None:
    with standing_in(lambda request: request.reply(200, {}, b"")) as server:
        said = why_not(server.url.replace("http:", "https:"))
    assert said.endswith(": it does not speak TLS (https).")
    assert why_not("https://nohost.invalid").endswith(": its name can't be resolved.")


def test_where_nothing_listens_or_nobody_answers_is_said() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))  # and doesn't listen
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert why_not(f"http://{address}").endswith(": nothing listens there.")
        assert why_not(f"https://{address}").endswith(": nothing listens there.")
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert why_not(f"http://{address}").endswith(": it did not answer in time.")
        assert why_not(f"https://{address}").endswith(": it did not answer in time.")


def test_a_proxy_that_is_not_there_is_named_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        said = why_not("https://nohost.invalid")
    assert said.endswith(
        ": the proxy on the way (HTTPS_PROXY) can't be reached: nothing listens there."
    )


@pytest.mark.parametrize(
    ("account", "cause"),
    [
        ("", ""),
        ("error: SomethingNew", ""),
        (
            "error: InvalidCertificate(\n Revoked,\n)",
            ": its certificate is not accepted: Revoked",
        ),
        (
            "error: InvalidCertificate(\n ExpiredContext {\n time: 1,\n },\n)",
            ": its certificate is not accepted: it has expired",
        ),
        (
            "error: InvalidCertificate(\n NotValidForNameContext {\n expected: 1,\n },\n)",
            ": its certificate is not accepted: it is for another name",
        ),
    ],
)
def test_a_cause_that_is_not_known_is_not_guessed(account: str, cause: str) -> None:
    said = object_store.explain(Exception(f"error sending request\n\nDebug source:\n{account}"))
    assert said == f"the server does not answer{cause}"


def why_not(endpoint: str) -> str:
    """What is said of a server there that gives no answer."""
    options = S3Server(endpoint, None).options(timeout=1)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="the server does not answer: ") as caught:
        StoredFiles(ObstoreStorage(**options)).sizes()
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


def test_a_server_that_dies_in_the_middle_of_an_upload_is_reported(tmp_path: Path) -> None:
    with s3_servers.rclone(tmp_path / "data") as server:

        def source() -> Iterator[bytes]:
            yield from chunks(3 * PART_BYTES)
            server.kill()
            yield from chunks(3 * PART_BYTES)

        files = StoredFiles(ObstoreStorage(**server.options("p")))
        with pytest.raises(StorageError, match="a could not be written: the server does not"):
            files.create("a", source())
    left = {path.parent.name for path in (tmp_path / "data").rglob("a")}
    assert left <= {"claims"}


def test_a_server_that_dies_in_the_middle_of_a_download_is_reported(tmp_path: Path) -> None:
    with s3_servers.rclone(tmp_path / "data") as server:
        files = StoredFiles(ObstoreStorage(**server.options("p")))
        files.create("a", chunks(64 * MiB))
        arriving = files.chunks("a")
        next(arriving)
        server.kill()
        with pytest.raises(StorageError, match="a could not be read"):
            list(arriving)


def test_a_server_that_says_nothing_any_more_is_given_up(seaweedfs: S3Server) -> None:
    """Twice the silence: for the parts, and for taking them back."""
    files = StoredFiles(ObstoreStorage(**seaweedfs.options(new_prefix(), timeout=1)))

    def source() -> Iterator[bytes]:
        yield from chunks(2 * PART_BYTES)
        frozen.__enter__()
        yield from chunks(2 * PART_BYTES)

    frozen = seaweedfs.frozen()
    try:
        with pytest.raises(StorageError, match="the server does not answer"):
            files.create("a", source())
    finally:
        frozen.__exit__(None, None, None)
    assert files.sizes() == {}


def test_a_slow_line_is_no_error_as_long_as_something_comes(seaweedfs: S3Server) -> None:
    prefix = new_prefix()
    StoredFiles(ObstoreStorage(**seaweedfs.options(prefix))).create("a", chunks(2 * MiB))
    with slowly(seaweedfs, 1 * MiB) as endpoint:
        options = seaweedfs.options(prefix, timeout=1) | {"endpoint": endpoint}
        began = time.monotonic()
        assert StoredFiles(ObstoreStorage(**options)).read("a") == content(2 * MiB)
        assert time.monotonic() - began > 1  # it was slow: longer than the silence that is allowed


# What the strict one holds


def test_object_lock_keeps_what_was_deleted(seaweedfs: S3Server) -> None:
    bucket = f"locked-{new_prefix()}"
    client = seaweedfs.client
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
        },
    )
    files = StoredFiles(ObstoreStorage(**seaweedfs.options() | {"url": f"s3://{bucket}/p"}))
    files.create("a", chunks(PART_BYTES + 1))
    files.delete("a")
    assert files.size("a") is None
    [version] = [
        each
        for each in client.list_object_versions(Bucket=bucket)["Versions"]
        if each["Key"] == "p/a"
    ]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=bucket, Key="p/a", VersionId=version["VersionId"])
    kept = client.get_object(Bucket=bucket, Key="p/a", VersionId=version["VersionId"])
    assert kept["Body"].read() == content(PART_BYTES + 1)


def test_keys_that_may_not_delete_store_all_the_same(seaweedfs: S3Server) -> None:
    bucket = f"kept-{new_prefix()}"
    client = seaweedfs.client
    client.create_bucket(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=deny_deletion(bucket))
    files = StoredFiles(ObstoreStorage(**seaweedfs.options() | {"url": f"s3://{bucket}/p"}))
    files.create("a", chunks(PART_BYTES + 1))
    with pytest.raises(StorageError, match="a could not be deleted: the server refused it"):
        files.delete("a")
    assert files.sizes() == {"a": PART_BYTES + 1}


def deny_deletion(bucket: str) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def slowly(server: S3Server, bytes_per_second: int) -> Iterator[str]:
    """Pass one connection on to a server, and its answer back at that speed. Yields its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(
            target=_pass_on, args=(listener, server.endpoint, bytes_per_second), daemon=True
        )
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def _pass_on(listener: socket.socket, endpoint: str, bytes_per_second: int) -> None:
    step = bytes_per_second // 20
    with closing(listener.accept()[0]) as client:
        address = urlsplit(endpoint)
        with closing(socket.create_connection((address.hostname, address.port))) as server:
            server.sendall(client.recv(64 * KiB))  # a GET fits into one piece
            server.settimeout(1)
            with suppress(TimeoutError):  # the server keeps the connection
                while answer := server.recv(step):
                    client.sendall(answer)
                    time.sleep(len(answer) / bytes_per_second)
