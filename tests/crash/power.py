"""
Power cuts: what a disk may hold after one, computed from the system calls of a real run.

A write is durable once its file has been synced, and a name (created, renamed, linked, unlinked)
once its folder has. Until then it may survive a cut or not, each by itself: this disk is meaner
than any real file system, which keeps some order. What a cut leaves is laid out in a folder, and
the next start runs on it.

Sources: fsync(2); https://www.sqlite.org/atomiccommit.html#_hardware_assumptions
"""

import codecs
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "openat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,ftruncate,truncate,fallocate,"
    "copy_file_range,sendfile,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,"
    "unlinkat,mkdir,mkdirat,rmdir,writev,pwritev"
)
LINE = re.compile(r"(?:\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?P<rest>.*)")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(r"(?:^|, )(\d+|AT_FDCWD)(?:<((?:[^>\\]|\\.)*)>)?")


@dataclass
class File:
    """The bytes that are safe, and the writes that a cut may take."""

    safe: bytes = b""
    writes: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut off there

    def after(self, keep: Callable[[], bool]) -> bytes:
        """The content if of the writes that are not safe these survive."""
        content = bytearray(self.safe)
        for offset, data in self.writes:
            if not keep():
                continue
            if data is None:
                del content[offset:]
                content.extend(bytes(offset - len(content)))
            else:
                content.extend(bytes(max(offset - len(content), 0)))
                content[offset : offset + len(data)] = data
        return bytes(content)

    def sync(self) -> None:
        """Let all be safe."""
        self.safe, self.writes = self.after(lambda: True), []


Change = tuple[str | None, str | None, File | None]  # a name that goes, one that comes, its file


@dataclass
class Disk:
    """One folder with its subfolders. Names are relative to it."""

    safe: dict[str, File]
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        """All that is in a folder, safe."""
        return cls(
            {
                str(path.relative_to(folder)): File(path.read_bytes())
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
        )

    def names(self, keep: Callable[[], bool] = lambda: True) -> dict[str, File]:
        """Which names there are if of the changes that are not safe these survive."""
        names = dict(self.safe)
        for goes, comes, file in self.changes:
            if not keep():
                continue
            if goes is not None:
                for name in [each for each in names if _is_below(each, goes)]:
                    moved = names.pop(name)
                    if comes is not None and file is None:  # a folder was renamed
                        names[comes + name[len(goes) :]] = moved
            if comes is not None and file is not None:
                names[comes] = file
        return names

    def sync(self) -> None:
        """Let all names be safe."""
        self.safe, self.changes = self.names(), []

    def lay_out(self, folder: Path, keep: Callable[[], bool]) -> None:
        """Write what a cut leaves into an empty folder."""
        contents: dict[int, Path] = {}
        for name, file in sorted(self.names(keep).items()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if (twin := contents.get(id(file))) is not None:
                path.hardlink_to(twin)
                continue
            path.write_bytes(file.after(keep))
            contents[id(file)] = path


def _is_below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


class Replay:
    """The calls of a log, done again on a disk that can be cut from its power."""

    def __init__(self, log: Path, folder: Path) -> None:
        self._lines = _whole_lines(log)
        self._folder = str(folder)
        self.disk = Disk.of(folder)
        self._open: dict[tuple[str, int], tuple[File, int]] = {}  # of a process: file, offset

    def steps(self) -> Iterator[str]:
        """Do one change after the other; yields what was done, with the disk as it is then."""
        for process, line in self._lines:
            match = LINE.match(line)
            if match and int(match["result"]) >= 0 and (done := self._do(process, match)):
                yield done

    def _do(self, process: str, call: re.Match[str]) -> str:
        name, arguments, result = call["name"], call["arguments"], int(call["result"])
        step = getattr(self, f"_{name}", None)
        if step is None:
            if self._paths(arguments) and name not in ("fcntl", "close", "dup", "dup2", "dup3"):
                raise AssertionError(f"a call that this disk does not know: {name}({arguments})")
            return ""
        if step(process, arguments, result) is False:
            return ""
        return f"{name}({', '.join(self._paths(arguments))})"

    def _paths(self, arguments: str) -> list[str]:
        """The names in the folder that a call names, or has open; "" is the folder itself."""
        found = []
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"|<((?:[^>\\]|\\.)*)>', arguments):
            path = text[0] or text[1]
            if path == self._folder or path.startswith(f"{self._folder}/"):
                found.append(path[len(self._folder) + 1 :])
        return found

    def _descriptor(self, process: str, arguments: str) -> tuple[str, int]:
        return process, int(arguments.partition("<")[0].partition(",")[0])

    # Calls

    def _openat(self, process: str, arguments: str, result: int) -> bool:
        paths = self._paths(arguments)
        if not paths or "O_DIRECTORY" in arguments:
            return False
        name = paths[-1]
        names = self.disk.names()
        changed = False
        if name not in names:
            if "O_CREAT" not in arguments:
                return False  # a folder
            names[name] = File()
            self.disk.changes.append((None, name, names[name]))
            changed = True
        elif "O_TRUNC" in arguments:
            names[name].writes.append((0, None))
            changed = True
        self._open[process, result] = names[name], 0
        return changed

    def _lseek(self, process: str, arguments: str, result: int) -> bool:
        key = self._descriptor(process, arguments)
        if key in self._open and self._paths(arguments):
            self._open[key] = self._open[key][0], result
        return False

    def _close(self, process: str, arguments: str, result: int) -> bool:
        self._open.pop(self._descriptor(process, arguments), None)
        return False

    def _write(self, process: str, arguments: str, result: int) -> bool:
        key = self._descriptor(process, arguments)
        if key not in self._open or not self._paths(arguments.partition(",")[0]):
            return False
        file, offset = self._open[key]
        file.writes.append((offset, _data(arguments)[:result]))
        self._open[key] = file, offset + result
        return True

    def _pwrite64(self, process: str, arguments: str, result: int) -> bool:
        key = self._descriptor(process, arguments)
        if key not in self._open or not self._paths(arguments.partition(",")[0]):
            return False
        offset = int(arguments.rpartition(", ")[2])
        self._open[key][0].writes.append((offset, _data(arguments)[:result]))
        return True

    def _ftruncate(self, process: str, arguments: str, result: int) -> bool:
        key = self._descriptor(process, arguments)
        if key not in self._open or not self._paths(arguments):
            return False
        self._open[key][0].writes.append((int(arguments.rpartition(", ")[2]), None))
        return True

    def _fsync(self, process: str, arguments: str, result: int) -> bool:
        paths = self._paths(arguments)
        if not paths:
            return False
        key = self._descriptor(process, arguments)
        if key in self._open:
            self._open[key][0].sync()
        else:  # a folder; to sync one syncs no other, but ours has subfolders for raw copies only
            self.disk.sync()
        return True

    _fdatasync = _fsync

    def _rename(self, process: str, arguments: str, result: int) -> bool:
        paths = self._paths(arguments)
        if not paths:
            return False
        source, destination = paths
        self.disk.changes.append((source, destination, self.disk.names().get(source)))
        return True

    def _linkat(self, process: str, arguments: str, result: int) -> bool:
        source, destination = [path for path in self._paths(arguments) if path]
        self.disk.changes.append((None, destination, self.disk.names()[source]))
        return True

    def _link(self, process: str, arguments: str, result: int) -> bool:
        return self._linkat(process, arguments, result)

    def _unlink(self, process: str, arguments: str, result: int) -> bool:
        paths = [path for path in self._paths(arguments) if path]
        if not paths:
            return False
        base = next((path for path in paths[:-1]), "")
        name = paths[-1] if _is_below(paths[-1], base) or not base else f"{base}/{paths[-1]}"
        if re.match(r"\d+<", arguments) and '"' in arguments:  # relative to a folder
            name = f"{base}/{STRING.findall(arguments)[0]}" if base else name
        self.disk.changes.append((name, None, None))
        return True

    _unlinkat = _unlink

    def _mkdir(self, process: str, arguments: str, result: int) -> bool:
        return False  # it comes with its first file

    def _rmdir(self, process: str, arguments: str, result: int) -> bool:
        return False


def _data(arguments: str) -> bytes:
    match = STRING.search(arguments)
    assert match is not None, arguments[:200]
    return codecs.escape_decode(match[1].encode("latin-1"))[0]


def _whole_lines(log: Path) -> list[tuple[str, str]]:
    """The lines with their process; one that another process interrupted is put together."""
    lines, begun = [], {}
    for line in log.read_text(encoding="latin-1").splitlines():
        process, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>").rstrip()
        elif match := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            lines.append((process, begun.pop(process) + match[1]))
        else:
            lines.append((process, rest))
    return lines


def record(folder: Path, log: Path, verb: str) -> None:
    """
    Let a process do a verb on the data folder under strace, with every byte in the log.

    :param verb: Python, in which ``store`` is the store, and this process is present.
    """
    program = (
        "import os, sys; from pathlib import Path; from tests.backups.stores import Store;"
        f" store = Store(Path(sys.argv[1])); store.real.hold_presence(); {verb}; os._exit(0)"
    )
    command = ["strace", "-f", "-y", "-s", "100000000", "-e", f"trace={CALLS}", "-o", str(log)]
    subprocess.run([*command, sys.executable, "-c", program, folder / "tasks.db"], check=True)


def survivors(seed: int) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Which of what is not safe survives: nothing, everything, and some by chance."""
    yield "nothing that is not synced", lambda: False
    yield "everything", lambda: True
    for number in range(4):
        yield f"some ({seed}.{number})", _by_chance(f"{seed}.{number}")


def _by_chance(seed: str) -> Callable[[], bool]:
    chance = random.Random(seed)  # the same in each run
    return lambda: chance.random() < 0.5
