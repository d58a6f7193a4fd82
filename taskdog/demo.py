"""
The whole story on a real server: ``python -m taskdog.demo``.

Adds tasks, takes a backup, adds one more, restores, restarts, and shows that only the first
tasks are there and where the old database is kept. Works in data/demo/, which it empties first, and
leaves it to be looked at. Ends with an error as soon as anything is wrong.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests

from backups.client import BackupClient
from taskdog import data_folder

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = CHECKOUT / "data" / "demo"
SNAPSHOT = DATA / "snapshot.db"
FIRST = ["Write the report", "Call the bank"]
LATER = "Buy a new keyboard"


def main() -> None:
    """Play the story."""
    key = set_up()
    with serving() as url:
        say("Add two tasks")
        for name in FIRST:
            add_task(url, key, name)
        show_tasks(url, key, expected=FIRST)

        say(f"Take a backup while the server runs  (GET {url}/api/v1/backup)")
        with BackupClient(url, key) as client:
            client.download(SNAPSHOT)
        tell(f"{SNAPSHOT.relative_to(CHECKOUT)}: {SNAPSHOT.stat().st_size:,} bytes")

        say("Add another task")
        add_task(url, key, LATER)
        show_tasks(url, key, expected=[*FIRST, LATER])

        say(f"Put the backup back  (POST {url}/api/v1/restore)")
        with BackupClient(url, key) as client, SNAPSHOT.open("rb") as snapshot:
            answer = client.stage_restore(snapshot)
        tell(f"{answer['status']}: {answer['message']}")
        tell(answer["next_start"])
        show_tasks(url, key, expected=[*FIRST, LATER])

    say("Restart the server: it applies the restore before it opens the database")
    with serving() as url:
        show_tasks(url, key, expected=FIRST)
        with BackupClient(url, key) as client:
            last = client.get_restore_status()["last"]
        expect(last["outcome"] == "applied", f"the restore was {last['outcome']}: {last['reason']}")

    say("The database that was replaced is kept, with every row")
    show_kept(DATA / last["kept"])
    print("\nThe demo succeeded.", flush=True)


# Steps


def set_up() -> str:
    """Empty data/demo/ and set it up. Returns an API key."""
    say(f"Set up a new site in {DATA.relative_to(CHECKOUT)}/")
    shutil.rmtree(DATA, ignore_errors=True)
    data_folder.close_new_files()
    DATA.mkdir(parents=True)
    manage("migrate", "--verbosity", "0")
    key = manage("create_api_key", "demo").strip()
    tell("database migrated, API key made")
    return key


@contextmanager
def serving() -> Iterator[str]:
    """Serve with gunicorn on a free port. Yields the URL; ends the server with the block."""
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", str(CHECKOUT / "taskdog/gunicorn.conf.py")],
        cwd=CHECKOUT,
        env=environment() | {"TASKDOG_BIND": "127.0.0.1:0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield wait_until_listening(server)
    finally:
        server.terminate()
        server.communicate()


def wait_until_listening(server: "subprocess.Popen[str]") -> str:
    """Read the server's log up to the line with its address."""
    log = []
    for line in server.stderr or ():
        log.append(line)
        if found := re.search(r"Listening at: (\S+)", line):
            tell(f"gunicorn listens at {found[1]}")
            return found[1]
        if "backups" in line:
            tell(line.strip())
    raise SystemExit("The server did not start:\n" + "".join(log))


def add_task(url: str, key: str, name: str) -> None:
    """Add a task over the API."""
    answer = requests.post(
        f"{url}/api/v1/tasks", json={"name": name}, headers={"X-Api-Key": key}, timeout=30
    )
    expect(answer.status_code == 201, f"the server answered {answer.status_code}: {answer.text}")


def show_tasks(url: str, key: str, *, expected: list[str]) -> None:
    """Show the tasks that the server has, which must be the expected ones."""
    answer = requests.get(f"{url}/api/v1/tasks", headers={"X-Api-Key": key}, timeout=30)
    names = [task["name"] for task in answer.json()["tasks"]]
    tell(f"tasks now: {', '.join(names)}")
    expect(names == expected, f"the tasks should be {expected}")


def show_kept(kept: Path) -> None:
    """Show the kept copy, read with SQLite itself."""
    with closing(sqlite3.connect(kept)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        names = [name for (name,) in connection.execute("SELECT name FROM tasks ORDER BY id")]
    tell(f"{kept.relative_to(CHECKOUT)}: integrity {verdict}")
    tell(f"tasks in it: {', '.join(names)}")
    expect((verdict, names) == ("ok", [*FIRST, LATER]), "the kept copy is not whole")


# What they need


def manage(*arguments: str) -> str:
    """Run a management command; returns its standard output."""
    finished = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    expect(finished.returncode == 0, f"manage.py {arguments[0]} failed:\n{finished.stderr}")
    return finished.stdout


def environment() -> dict[str, str]:
    """This shell's environment, without what it says of another site."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("TASKDOG_")}
    return others | {"TASKDOG_DATA_DIR": str(DATA)}


def say(step: str) -> None:
    """Announce a step."""
    print(f"\n▶ {step}", flush=True)


def tell(fact: str) -> None:
    """Print what was seen."""
    print(f"  {fact}", flush=True)


def expect(fact: bool, otherwise: str) -> None:
    """End the demo with an error unless the fact holds."""
    if not fact:
        raise SystemExit(f"\nThe demo failed: {otherwise}")


if __name__ == "__main__":
    main()
