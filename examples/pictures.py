"""Makes the pictures of the README again: a page, a page of the atlas, a PDF, two gradients.

Needs chromium, pdftoppm and what the tests need: `python examples/pictures.py [FOLDER]`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import saturation
from PIL import Image
from playwright.sync_api import sync_playwright

from codegen.cli import main as pminusy

LOSS = "softmax_cross_entropy"
COLOURS = 48
SCALE = 1.5


def shown(page: Path, picture: Path, height: int, wide: int = 860) -> None:
    """The upper part of a page in the browser."""
    with sync_playwright() as drive:
        browser = drive.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        size = {"width": wide, "height": height}
        tab = browser.new_page(viewport=size, device_scale_factor=SCALE)
        tab.goto(page.as_uri())
        tab.wait_for_timeout(500)
        tab.screenshot(path=picture)
        browser.close()


def small(picture: Path) -> None:
    """The same picture in few colours."""
    image = Image.open(picture).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


def main(folder: str = "examples/pictures") -> None:
    to = Path(folder)
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        pminusy(["derive", LOSS, "--wrt", "a", "--to", "html", "-o", str(here / "page.html")])
        shown(here / "page.html", to / "page.png", 900)
        pminusy(["atlas", "-o", str(here / "site"), LOSS])
        shown(here / "site" / "losses" / f"{LOSS}.html", to / "atlas.png", 890)
        paper = here / "paper.pdf"
        pminusy(["derive", f"linear_{LOSS}", "--wrt", "W", "--to", "pdf", "-o", str(paper)])
        drawn = ["pdftoppm", "-png", "-singlefile", "-r", "120", "-l", "1", str(paper)]
        subprocess.run([*drawn, str(to / "pdf")], check=True)
    for picture in ("page", "atlas", "pdf"):
        small(to / f"{picture}.png")
    saturation.main(str(to / "saturation.svg"))


if __name__ == "__main__":
    main(*sys.argv[1:])
