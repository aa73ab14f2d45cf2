"""A headless Chromium that looks at pages from files, with the network closed."""

from __future__ import annotations

import base64
import contextlib
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"


@functools.cache
def why_no_browser() -> str | None:
    """Return why no browser can be driven here, or None if one can."""
    if not any(map(shutil.which, CHROMIUM)):
        return "chromium is not installed (Debian: apt install chromium chromium-driver)"
    if not shutil.which(DRIVER):
        return "chromedriver is not installed (Debian: apt install chromium-driver)"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (pip install selenium)"
    return None


@contextlib.contextmanager
def browser(width: int = 1280, height: int = 900, *, dark: bool = False, script: bool = True) -> Iterator[Any]:
    """Open a browser of a size; yields selenium's driver, whose log holds the console."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, CHROMIUM)))
    # As root, as in a container, Chromium has no sandbox; /dev/shm is often small there.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
    try:
        phone = width < 600
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        if not script:
            driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        yield driver
    finally:
        driver.quit()


def console(driver: Any) -> list[str]:
    """Return what the page complained about."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def photograph(driver: Any, path: Path, *, whole: bool = False) -> None:
    """Write what is seen, or the whole page, as a PNG."""
    answer = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": whole})
    if whole:
        size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(answer["data"]))
