"""What a person does on the pages, step by step."""

from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import button, find, log_in, press, read, wait_for
from tests.site import Server

CAN_BE_PUT_BACK = "can be put back. Nothing has happened yet."


def enter(browser: Chrome, server: Server, page: str = "", name: str = "ann") -> None:
    """Open one of the pages, and log in."""
    log_in(browser, f"{server.url}/backups/{page}", name)


def go(browser: Chrome, server: Server, page: str = "") -> None:
    """Open one of the pages."""
    browser.get(f"{server.url}/backups/{page}")


def choose(browser: Chrome, file: Path) -> None:
    """Choose a file to upload."""
    find(browser, "input[type=file]").send_keys(str(file))


def upload(browser: Chrome, file: Path) -> None:
    """Upload a file, and wait for the page that says what it is."""
    choose(browser, file)
    press(browser, "#upload-begin")


def decide(browser: Chrome, when: str, name: str = "taskdog") -> None:
    """Put back what waits: "now" or at the next "start"."""
    find(browser, f"input[name=when][value={when}]").click()
    find(browser, "#name").send_keys(name)
    press(browser, "form button.main")


def back_up(browser: Chrome, server: Server) -> str:
    """Take one now; returns its id."""
    go(browser, server, "snapshots/")
    press(browser, button(browser, "Back up now"))
    words = read(browser, "Stored: ")
    return words.partition("Stored: ")[2].partition(".")[0]


def read_after_login(browser: Chrome, server: Server, words: str) -> None:
    """A restore ends all logins of this site: the page says so, and leads back."""
    read(browser, "A restore has replaced the database, and with it all logins.")
    press(browser, button(browser, "Go to the login"))
    enter(browser, server, browser.current_url.partition("next=/backups/")[2])
    read(browser, words)


def tab_to(browser: Chrome, selector: str) -> None:
    """Go on by the Tab key until the focus is there."""
    has_focus = "return document.activeElement.matches(arguments[0])"
    find(browser, selector)
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.execute_script(has_focus, selector):
            return
    raise AssertionError(f"the Tab key does not reach {selector}")


def type_key(browser: Chrome, *keys: str) -> None:
    """Type where the focus is."""
    browser.switch_to.active_element.send_keys(*keys)


def row_of(browser: Chrome, snapshot: str) -> str:
    """What the list says of a stored snapshot."""
    found = wait_for(
        browser,
        lambda: browser.find_element(By.CSS_SELECTOR, f"tr:has(a[href*='/{snapshot}/'])"),
    )
    return found.text
