"""The book as a PDF, printed by a browser without a window, where one is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import ArgumentError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --no-pdf-header-footer
    --disable-background-networking --disable-component-update --disable-sync
""".split()  # noqa: SIM905
SECONDS = 600


def printer() -> str:
    """The path of a browser that can print; "" where there is none."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), "")


def needed_printer() -> str:
    """The path of a browser that can print; raises ArgumentError where there is none."""
    found = printer()
    if not found:
        raise ArgumentError(
            "a PDF is printed by Chromium, which is not installed",
            expected=f"one of {', '.join(BROWSERS)} on the PATH",
            hint="install chromium, or leave out --pdf and print pages from any browser",
        )
    return found


def print_pdf(browser: str, folder: Path, html: str) -> None:
    """Prints a page, which may use the folder's assets, to ``book.pdf`` in it.

    Raises ArgumentError where the browser fails.
    """
    page, out = folder / "print.html", folder / "book.pdf"
    page.write_text(html, encoding="utf-8")
    try:
        with tempfile.TemporaryDirectory() as profile:
            command = [browser, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={out}"]
            done = subprocess.run(
                [*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=SECONDS
            )
    except subprocess.TimeoutExpired:
        raise _failed(browser, f"it took more than {SECONDS} s") from None
    finally:
        page.unlink()
    if done.returncode or not out.is_file():
        raise _failed(browser, done.stderr.strip()[-300:])


def _failed(browser: str, found: str) -> ArgumentError:
    return ArgumentError("printing the PDF failed", where=browser, found=found)
