"""The page of one loss, and the index of all of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from codegen.atlas.families import FAMILIES, family
from codegen.atlas.kernels import Files, kernel_files
from codegen.atlas.live import live, script_json
from codegen.atlas.measured import kept, measured
from codegen.builder import build
from codegen.documents.html import HELPERS
from codegen.documents.latex import DRESS
from codegen.documents.mathml import styles
from codegen.documents.model import NESTED, PAGE_PARTS, Wanted
from codegen.documents.parts import whole
from codegen.emit import render
from codegen.plots.pictures import pictures
from derive.errors import PminusyError
from derive.loss import Loss
from derive.named import gradient


@dataclass(frozen=True)
class Card:
    """What the index says of a loss; `formula` is its gradient in LaTeX."""

    name: str
    slug: str
    title: str
    source: str
    family: str
    formula: str

    @property
    def head(self) -> str:
        return self.title.partition(":")[0]

    @property
    def rest(self) -> str:
        return self.title.partition(":")[2].strip()

    @property
    def words(self) -> str:
        """What the search looks at."""
        said = (self.name, self.name.replace("_", " "), self.title, self.source, self.family)
        return " ".join(said).lower()

    @property
    def address(self) -> str:
        return f"{FOLDER}/{self.slug}.html"

    def data(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Page:
    """A finished page, its card, and the script that brings its kernels when one is opened."""

    text: str
    card: Card
    kernels: str


FOLDER = "losses"
KERNELS = ".kernels.js"  # the ending of the script beside a page


def loss_page(loss: Loss, slug: str, measuring: bool = False) -> Page:
    """The page of a loss; `measuring` its accuracy where that is not kept.

    Raises PminusyError where it has no gradient or no kernel.
    """
    names = [d.name for d in loss.declarations if d.role in ("input", "param")]
    if not names:
        raise PminusyError(f"{loss.name} has no input or param: it has no page")
    function = build(loss)
    kernels = kernel_files(loss)
    (module,) = kernels["javascript"].dense
    numpy = kernels["numpy"]
    sources = [file.text for file in (*numpy.dense, *numpy.labels)]
    accuracy = kept(loss.name, sources) or (measured(loss) if measuring else ())
    tried = live(loss, function, module.text)
    first, *others = (gradient(loss, name) for name in names)
    document = whole(first, DRESS, NESTED, Wanted(PAGE_PARTS, others=tuple(others)))
    text = _with_scripts(
        "atlas_loss.html.j2",
        title=f"{document.title} · Atlas of losses",
        modules=tried.modules,
        own=("live.js", "page.js"),
        document=document,
        name=loss.name,
        value=DRESS.name(loss.value.name),
        defined=tried.definitions,
        simplex=tried.simplex,
        pictures=pictures(loss, names[0], function),
        kernels=kernels,
        script=f"{slug}{KERNELS}",
        accuracy=accuracy,
        text=loss.text,
        data=Markup(tried.data),
    )
    main = document.main
    card = Card(
        loss.name, slug, document.title, document.source, family(loss), f"{main.left}={main.right}"
    )
    return Page(text, card, _bundle(kernels))


def _bundle(kernels: Mapping[str, Files]) -> str:
    """The texts of all kernels by key, as a script: no other file can a page on a disk load."""
    texts = {
        file.key: file.text for files in kernels.values() for file in (*files.dense, *files.labels)
    }
    return f"globalThis.pminusyKernels = {script_json(texts)};\n"


def index_page(cards: Sequence[Card]) -> str:
    """The index of these cards, family by family."""
    groups = [(name, [card for card in cards if card.family == name]) for name in FAMILIES]
    return _with_scripts(
        "atlas_index.html.j2",
        title="Atlas of losses",
        own=("index.js", "page.js"),
        families=[(name, sorted(group, key=_order)) for name, group in groups if group],
    )


def _order(card: Card) -> tuple[str, str]:
    return card.title.lower(), card.slug


def _with_scripts(
    template: str, own: Sequence[str], modules: Sequence[str] = (), **values: Any
) -> str:
    """A template with the scripts that its policy allows, by their digests, and no others."""
    scripts = [script(name) for name in own]
    allowed = [f"'sha256-{_digest(text)}'" for text in (*modules, *scripts)]
    shared: Mapping[str, Any] = {"styles": Markup(styles()), **HELPERS}
    return render(
        template,
        scripts=[Markup(text) for text in scripts],
        modules=[Markup(text) for text in modules],
        allowed=Markup(" ".join(dict.fromkeys(allowed))),
        **shared,
        **values,
    )


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode("ascii")


@lru_cache(maxsize=8)
def script(name: str) -> str:
    """One of our own scripts."""
    return (files("codegen") / "assets" / "atlas" / name).read_text(encoding="utf-8")
