"""A headless Chromium for the tests of pages. Tests that need one are skipped where selenium (the
extra ``browser``), Chromium or its chromedriver is missing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER and find_spec("selenium")),
    reason="needs selenium (the extra browser), Chromium and its chromedriver",
)

# The accessibility checker axe-core: of the environment, or where `npm install axe-core` puts it.
AXE = Path(os.environ.get("AXE", "node_modules/axe-core/axe.min.js"))
needs_axe = pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core (npm install axe-core)")

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
DESK, PHONE = (1280, 1000), (390, 844)


class Browser:
    """A headless Chromium that notes what goes wrong on a page."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=DRIVER)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(240)

    def open(self, page: Path, size: tuple[int, int] = DESK, scheme: str = "light") -> None:
        """Opens a page, its formulas and fonts loaded."""
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=size is PHONE,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)
        self.driver.get(page.as_uri())
        self.run("return document.fonts.ready.then(() => true)")
        assert self.run("return document.documentElement.dataset.ready") == "yes"

    def command(self, name: str, **arguments: Any) -> None:
        self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def troubles(self) -> list[str]:
        """What the console and the network complained of since the last look."""
        console = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        failed = [
            str(event["params"]) for event in events if event["method"] == "Network.loadingFailed"
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        own = ("file:", "data:", "chrome:", "chrome-untrusted:")
        return console + failed + [url for url in asked if not url.startswith(own)]


@contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """A browser with a profile folder of its own, closed at the end."""
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.driver.quit()
