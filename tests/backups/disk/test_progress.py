from backups.disk.progress import counted


def test_chunks_pass_unchanged_and_are_counted() -> None:
    steps: list[int] = []
    assert list(counted([b"one", b"", b"three"], steps.append)) == [b"one", b"", b"three"]
    assert steps == [3, 0, 5]
