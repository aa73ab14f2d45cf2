"""Photograph the report of a study for the documentation: python tools/photograph_report.py study.sqlite [docs]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import browser, photograph  # noqa: E402
from litedelegates.report import write_report  # noqa: E402
from litedelegates.study import Store  # noqa: E402
from PIL import Image  # noqa: E402

VIEWS = {
    "report.png": (1280, 1620, False),
    "report-dark.png": (1280, 1620, True),
    "report-phone.png": (390, 1620, False),
}


def main(study: str, folder: str = "docs") -> None:
    """Write one picture a view."""
    with tempfile.TemporaryDirectory() as temporary:
        with Store.open(study) as store:
            page = write_report(store, temporary, ["html"])[0]
        for name, (width, height, dark) in VIEWS.items():
            with browser(width, height, dark=dark) as driver:
                driver.get(page.as_uri())
                photograph(driver, Path(folder) / name)
            # 128 colours are all that the page has, and a third of the bytes.
            Image.open(Path(folder) / name).convert("RGB").quantize(128, dither=0).save(
                Path(folder) / name, optimize=True
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
