"""Chromium, driven as a person uses it: logged in, in the dark, on a phone, without scripts."""

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")

# What htmx says of a request that was cancelled, or whose server was away.
NO_ANSWER = re.compile("htmx:(afterRequest|sendAbort|sendError)")

SECONDS = 20
PASSWORD = "correct horse"
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # a container has no user namespaces for it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1200,1400",
    "--lang=en-GB",
)
NO_SCRIPTS = {"profile.managed_default_content_settings.javascript": 2}
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def program(name: str) -> str:
    """Where a program is; a machine without it fails the test, and says what to install."""
    path = shutil.which(name)
    assert path, f"{name} is not installed. On Debian: apt-get install chromium chromium-driver"
    return path


@contextmanager
def started(*, downloads: Path | None = None, scripts: bool = True) -> Iterator[Chrome]:
    """A browser of its own, with no cookie."""
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for option in OPTIONS:
        options.add_argument(option)
    preferences: dict[str, Any] = {} if scripts else dict(NO_SCRIPTS)
    if downloads is not None:
        preferences |= {"download.default_directory": str(downloads)}
    options.add_experimental_option("prefs", preferences)
    driver = Chrome(options=options, service=Service(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


# Look and press


def find(browser: Chrome, selector: str) -> WebElement:
    """Wait for an element to be there."""
    wait = WebDriverWait(browser, SECONDS)
    return wait.until(presence_of_element_located((By.CSS_SELECTOR, selector)))


def button(browser: Chrome, words: str) -> WebElement:
    """The first button or link with these words."""
    path = f"//*[self::button or self::a or self::summary][normalize-space()='{words}']"
    wait = WebDriverWait(browser, SECONDS)
    return wait.until(presence_of_element_located((By.XPATH, path)))


def wait_for(browser: Chrome, condition: Callable[[], T]) -> T:
    """Ask again and again. Between two pages the driver can answer with any error."""
    wait = WebDriverWait(browser, SECONDS, ignored_exceptions=[WebDriverException])
    return wait.until(lambda _: condition())


def text(browser: Chrome) -> str:
    """What the page says."""
    return find(browser, "main").text


def read(browser: Chrome, words: str) -> str:
    """Wait until the page says this; returns all that it says."""

    def said() -> str:
        found = text(browser)
        return found if words in found else ""

    try:
        return wait_for(browser, said)
    except WebDriverException as error:
        raise AssertionError(f"the page does not say {words!r}:\n{text(browser)}") from error


def press(browser: Chrome, what: str | WebElement) -> None:
    """Press a button that leads to another page, and wait for the whole of that."""
    element = find(browser, what) if isinstance(what, str) else what
    browser.execute_script("document.documentElement.isLeft = true")
    element.click()
    # Between two pages the driver can answer with any error; the next look is at the new one.
    arrived = "return !document.documentElement.isLeft && document.readyState === 'complete'"
    wait_for(browser, lambda: browser.execute_script(arrived))
    photograph(browser)


def log_in(browser: Chrome, url: str, name: str = "ann") -> None:
    """Open a page as a stranger, log in, and arrive there."""
    browser.get(url)
    find(browser, "input[name=username]").send_keys(name)
    find(browser, "input[name=password]").send_keys(PASSWORD)
    press(browser, "input[type=submit]")


def errors(browser: Chrome, *, of_answers: bool = True) -> list[str]:
    """
    What the browser has complained about since the last time, but that a login has no icon.

    :param of_answers: also that an answer was an error, or never came.
    """
    log: Any = browser.get_log("browser")  # type: ignore[no-untyped-call]
    found = [entry for entry in log if entry["level"] == "SEVERE"]
    if not of_answers:
        found = [
            entry
            for entry in found
            if entry["source"] != "network" and not NO_ANSWER.search(entry["message"])
        ]
    return [entry["message"] for entry in found if "/favicon.ico" not in entry["message"]]


# How it is shown


def show(browser: Chrome, *, dark: bool = False, phone: bool = False) -> None:
    """In the dark, on a phone, or as it was before."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    still = {"name": "prefers-reduced-motion", "value": "reduce"}  # no colour half-way to another
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})
    if phone:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    else:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextmanager
def slow_line(browser: Chrome, bytes_per_second: int) -> Iterator[None]:
    """For the block, an upload is that slow."""
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
    browser.execute_cdp_cmd("Network.enable", {})
    for throughput in (bytes_per_second, -1):
        browser.execute_cdp_cmd(
            "Network.emulateNetworkConditions", conditions | {"uploadThroughput": throughput}
        )
        if throughput != -1:
            yield


def is_too_wide(browser: Chrome) -> bool:
    """Whether a person has to scroll sideways."""
    return bool(
        browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth")
    )


def violations(browser: Chrome) -> list[str]:
    """What axe finds wrong for people who can't see well, or use no mouse."""
    if not browser.execute_script("return Boolean(window.axe)"):
        browser.execute_script((files("axe_playwright_python") / "axe.min.js").read_text())
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        f"axe.run({{runOnly: {json.dumps(LEVELS)}}}).then(done);"
    )
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:150]} {node.get('failureSummary', '')}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def photograph(browser: Chrome, name: str = "") -> None:
    """Keep a picture of a page in the folder that BROWSER_PICTURES names, to look at."""
    if folder := os.environ.get("BROWSER_PICTURES"):
        number = len(list(Path(folder).iterdir()))
        picture(browser, Path(folder) / f"{number:03}{name and '-'}{name}.png")


def picture(browser: Chrome, path: Path, *, until: str = "html", most: int = 2400) -> None:
    """A picture of the page down to the end of an element, not only of what is in the window."""
    width, height = browser.execute_script(
        "const end = document.querySelector(arguments[0]).getBoundingClientRect().bottom;"
        "return [window.innerWidth, Math.ceil(end + window.scrollY)]",
        until,
    )
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, most), "scale": 1}
    taken = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    path.write_bytes(base64.b64decode(taken["data"]))
