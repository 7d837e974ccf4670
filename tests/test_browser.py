"""The atlas in a browser: Chromium, as it is installed, driven by Playwright."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import derive
from codegen import build, generate
from codegen.cli import main

FEW = [
    "cox_partial_likelihood",
    "cross_entropy",
    "expectile",
    "focal",
    "hinge",
    "huber",
    "linear_softmax_cross_entropy",
    "softmax_cross_entropy",
    "triplet",
]
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# What the controls and the tables of a page say, read from the page as it is shown.
READ = """() => ({
  controls: [...document.querySelectorAll('#live fieldset')].map((group) => [group.dataset.name,
    [...group.querySelectorAll('.control')].map((row) =>
      Number(row.querySelector('select')?.value ?? row.querySelector('.value').dataset.value))]),
  loss: document.querySelector('[data-part=loss]').dataset.value,
  tables: ['gradients', 'definitions'].map((part) =>
    [...document.querySelectorAll(`[data-part=${part}] tr`)].map((row) =>
      [row.dataset.name, row.querySelector('.value').dataset.value])),
})"""


@dataclass
class Window:
    """A page that is open, with what went wrong in it and what it asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def look(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        return self.page

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(READ)
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("atlas")
    assert main(["atlas", "-o", str(out), *FEW]) == 0
    return out


@pytest.fixture(scope="module")
def chromium(require: Callable[[str], str]) -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    program = require("chromium")
    with api.sync_playwright() as driver:
        # Without its own sandbox, which root may not start; it only sees our own files.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def eventually(locator: Any) -> Any:
    """Waits until the locator is as it should be.

    Not page.wait_for_function: its second look evaluates a string, which the page forbids.
    """
    return pytest.importorskip("playwright.sync_api").expect(locator)


def opened(chromium: Any, **options: Any) -> Window:
    window = Window(chromium.new_context(**options).new_page())
    page = window.page
    page.on("console", lambda said: window.errors.append(said.text) if said.type != "log" else None)
    page.on("pageerror", lambda error: window.errors.append(str(error)))
    page.on("request", lambda asked: window.requests.append(asked.url))
    return window


@pytest.fixture
def window(chromium: Any) -> Iterator[Window]:
    """A window that has to end without an error and without having asked for another file."""
    found = opened(chromium, viewport=WIDE)
    yield found
    found.page.context.close()
    assert found.errors == []
    assert all(url.startswith(("file:", "data:")) for url in found.requests)
    pages = [url for url in found.requests if not url.endswith(".kernels.js")]
    assert len([url for url in pages if url.startswith("file:")]) <= 2


def test_a_kernel_comes_when_it_is_opened(window: Window, folder: Path) -> None:
    page = window.look(folder / "losses" / "huber.html")
    assert not [url for url in window.requests if url.endswith(".kernels.js")]
    page.click("details.fold >> nth=0")
    eventually(page.locator("details.fold code[id] >> nth=0")).not_to_be_empty()
    (made,) = generate(derive.load("huber"), "numpy").values()
    assert page.locator("details.fold code[id] >> nth=0").text_content() == made
    page.click("details.fold >> nth=1")
    eventually(page.locator("details.fold code[id] >> nth=1")).not_to_be_empty()
    assert len([url for url in window.requests if url.endswith(".kernels.js")]) == 1


def test_the_search_filters_the_index(window: Window, folder: Path) -> None:
    page = window.look(folder / "index.html")
    cards = page.locator(".card:visible")
    assert cards.count() == len(FEW)
    page.keyboard.press("/")
    page.keyboard.type("SOFTMAX layer")
    assert cards.count() == 1
    assert page.locator("#count").inner_text() == "1 loss"
    assert page.locator(".family:visible").count() == 1
    page.fill("#search", "no such loss")
    assert cards.count() == 0 and page.locator("#count").inner_text() == "0 losses"
    page.fill("#search", "huber")
    page.locator(".card:visible a").click()
    assert page.url.endswith("losses/huber.html")
    assert page.locator("h1").inner_text().startswith("Huber loss")


def expected(name: str, controls: dict[str, list[float]]) -> tuple[float, dict[str, Any]]:
    """The loss and the gradients by the NumPy kernel."""
    loss = derive.load(name)
    kernel = build(loss)
    sizes = {"K": 3, "N": 3}
    given = {}
    for argument in kernel.kernel.inputs:
        axes = [axis.name for axis in loss.tensor(argument.name).axes]
        own: list[int] = []
        for axis in axes:
            own.append(sizes.get(axis, len(controls[argument.name]) // (np.prod(own) or 1)))
        leading = len(argument.tensor.axes) - len(axes)
        kind = np.int64 if argument.tensor.label else np.float64
        array = np.array(controls[argument.name]).astype(kind)
        given[argument.name] = array.reshape((1,) * leading + tuple(int(n) for n in own))
    value, slopes = kernel(**given)
    return float(np.ravel(value)[0]), {key: np.ravel(found) for key, found in slopes.items()}


def close(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= 1e-12 * max(1, abs(other))


def agrees(name: str, found: dict[str, Any]) -> None:
    loss, slopes = expected(name, dict(found["controls"]))
    assert close(float(found["loss"]), loss)
    shown: dict[str, list[float]] = {}
    for key, value in found["tables"][0]:
        shown.setdefault(key, []).append(float(value))
    assert set(shown) == set(slopes)
    for key, values in shown.items():
        assert all(map(close, values, slopes[key])), (key, values, slopes[key])


@pytest.mark.parametrize("name", FEW)
def test_a_slider_moves_the_numbers_as_the_numpy_kernel_has_them(
    window: Window, folder: Path, name: str
) -> None:
    page = window.look(folder / "losses" / f"{name}.html")
    first = window.read()
    agrees(name, first)
    slider = page.locator("#live input[type=range]").first
    slider.focus()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    moved = window.read()
    assert moved["controls"] != first["controls"]
    agrees(name, moved)
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    dragged = window.read()
    assert dragged["controls"][0][1][0] < moved["controls"][0][1][0]
    assert (dragged["loss"], dragged["tables"]) != (moved["loss"], moved["tables"])
    agrees(name, dragged)
    page.get_by_role("button", name="Reset").click()
    assert window.read() == first


def test_a_class_is_chosen_and_the_definitions_follow(window: Window, folder: Path) -> None:
    page = window.look(folder / "losses" / "focal.html")
    assert page.locator("[data-part=simplex]").is_visible()
    page.get_by_label("t", exact=True).select_option("2")
    found = window.read()
    agrees("focal", found)
    logits = np.array(dict(found["controls"])["z"])
    shares = np.exp(logits) / np.exp(logits).sum()
    values = [float(value) for key, value in found["tables"][1] if key == "p"]
    assert all(map(close, values, shares))
    page.get_by_label("size of K").select_option("5")
    assert len(dict(window.read()["controls"])["z"]) == 5
    assert not page.locator("[data-part=simplex]").is_visible()
    said = page.locator("[data-part=said]")
    eventually(said).not_to_be_empty()
    assert said.get_attribute("aria-live") == "polite" and "Gradient by z" in said.inner_text()


def test_a_kernel_is_copied(window: Window, folder: Path) -> None:
    page = window.look(folder / "losses" / "huber.html")
    page.locator("summary", has_text="huber.mjs").click()
    button = page.get_by_role("button", name="Copy huber.mjs")
    button.click()
    eventually(page.get_by_text("Copied", exact=True)).to_be_visible()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_pages_are_accessible_and_never_scroll_sideways(
    chromium: Any,
    folder: Path,
    scheme: str,
    size: dict[str, int],
    node_module: Callable[[str], Path],
) -> None:
    axe = (node_module("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    window = opened(chromium, viewport=size, color_scheme=scheme)
    for path in ["index.html", *(f"losses/{name}.html" for name in FEW[1::2])]:
        page = window.look(folder / path)
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        severe = [
            (path, each["id"], [node["html"][:120] for node in each["nodes"]][:3])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not severe, json.dumps(severe, indent=1)
    window.page.context.close()
    assert window.errors == []
