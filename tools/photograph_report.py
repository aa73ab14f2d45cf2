"""Photograph the report of a study for the documentation: python tools/photograph_report.py study.sqlite [docs]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import browser, photograph  # noqa: E402
from litedelegates.layers.store import LayerStore  # noqa: E402
from litedelegates.report import write_report  # noqa: E402
from litedelegates.study import Store  # noqa: E402
from PIL import Image  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

VIEWS = {
    "report.png": (1280, 1620, False),
    "report-dark.png": (1280, 1620, True),
    "report-phone.png": (390, 1620, False),
}


LAYERS = "report-layers.png"


def main(study: str, folder: str = "docs") -> None:
    """Write one picture a view, of the configurations and of the layers where the study has them."""
    with tempfile.TemporaryDirectory() as temporary:
        with Store.open(study) as store:
            has_cells, has_layers = bool(store.cells()), bool(LayerStore(store).studies())
            page = write_report(store, temporary, ["html"])[0]
        for name, (width, height, dark) in VIEWS.items() if has_cells else ():
            with browser(width, height, dark=dark) as driver:
                driver.get(page.as_uri())
                save(driver, Path(folder) / name)
        if has_layers:
            with browser(1280, 1950) as driver:
                driver.get(page.as_uri())
                track = driver.find_element("css selector", "[data-track=times]")
                track.send_keys(*[Keys.ARROW_RIGHT] * 7)
                driver.execute_script("document.activeElement.blur()")
                driver.execute_script(
                    "scrollTo({top: document.getElementById('layers').offsetTop - 28, behavior: 'instant'})"
                )
                save(driver, Path(folder) / LAYERS, 256)  # the rare ones of conversions and refusals too


def save(driver: Any, path: Path, colours: int = 128) -> None:
    """Write what is seen in few colours, which is a third of the bytes."""
    photograph(driver, path)
    Image.open(path).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
