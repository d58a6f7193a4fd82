"""The lines for a project in the README, or in another page, sorted by what is done with them."""

import re
import shlex
from typing import NamedTuple

from tests.processes import CHECKOUT

README = "README.md"
HEADING = "## In your own project"


class Lines(NamedTuple):
    """What a page says, in its order: commands, and what is added to two files."""

    install: list[str]
    settings: str
    urls: str
    commands: list[list[str]]


def read_lines(page: str = README, heading: str = HEADING) -> Lines:
    """The lines under the heading; prose and comments are for people."""
    text = (CHECKOUT / page).read_text()
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    commands: list[list[str]] = []
    files: dict[str, list[str]] = {"": [], "settings.py": [], "urls.py": []}
    file = ""
    for line in _code(section):
        if match := re.match(r"# at the end of (\S+\.py)", line):
            file = match[1]
        elif re.match(r"(pip|python) ", line):
            commands.append(shlex.split(line, comments=True))
        else:
            files[file].append(line)
    (install,) = [command for command in commands if command[0] == "pip"]
    assert not files[""], f"these lines belong to no file: {files['']}"
    settings, urls = ("\n".join(files[name]) for name in ("settings.py", "urls.py"))
    return Lines(install, settings, urls, [each for each in commands if each != install])


def _code(section: str) -> list[str]:
    """The lines of blocks: indented, or between fences."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (.*)$", section, re.MULTILINE)
    lines = "".join(fenced).splitlines() or indented
    return [line for line in lines if line.strip()]
