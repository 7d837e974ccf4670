"""The atlas as files: what stands in them, what is made again, and that words stay words."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sysconfig
import time
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

import derive
from codegen import generate
from codegen.accuracy import measure
from codegen.atlas import measured, site
from codegen.atlas.families import FAMILIES, family
from codegen.atlas.page import KERNELS
from codegen.atlas.sliders import argument
from codegen.cli import main
from codegen.targets import TARGETS

FEW = ["huber", "triplet"]
HOSTILE = '''"""</script><script>alert(1)</script> <!-- & "quoted" 'single' {{ 7 }} */ \
\u2028 $x$: it.

Source: <img src=x onerror=alert(2)> & </style>.
"""
# </code></pre><script>alert(3)</script>
z: input[K]
t: target in K
gamma: const >= 0 = 2

p[i] = exp(z[i]) / sum(exp(z[k]) for k in K)
L = -(1 - p[t])**gamma * log(p[t])
'''
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Seen(HTMLParser):
    """The elements, ids, addresses and texts of a page, which is well-formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.policy = ""
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.kinds: list[str] = []
        self.code: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[key] for key in ("src", "href", "xlink:href") if key in values]
        self.handlers += [key for key in values if key.startswith("on")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        if tag == "script":
            self.scripts.append("")
            self.kinds.append(values.get("type", ""))
        if tag == "code":
            self.code.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif "code" in self.open:
            self.code[-1] += data
        elif "style" not in self.open:
            self.words.append(data)


def kernels_of(folder: Path, name: str) -> dict[str, str]:
    """The texts in the script beside a page, by key; it holds nothing else."""
    text = (folder / "losses" / f"{name}{KERNELS}").read_text(encoding="utf-8")
    opening, closing = "globalThis.pminusyKernels = ", ";\n"
    assert text.startswith(opening) and text.endswith(closing)
    found: dict[str, str] = json.loads(text[len(opening) : -len(closing)])
    return found


def made(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("losses") / "a b<script>&.loss"
    path.write_text(HOSTILE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, hostile: str) -> Path:
    out = tmp_path_factory.mktemp("site")
    assert main(["atlas", "-o", str(out), *FEW, hostile]) == 0
    return out


def test_every_file_is_there_and_nothing_else(folder: Path) -> None:
    names = ["a_b_script__", *FEW]
    pages = {f"losses/{name}{end}" for name in names for end in (".html", KERNELS)}
    assert set(made(folder)) == pages | {"index.html", "manifest.json"}


def test_pages_are_well_formed_and_stand_alone(folder: Path) -> None:
    for path in sorted(folder.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        page = Seen(text)
        assert len(set(page.ids)) == len(page.ids)
        assert not page.handlers
        for address in page.addresses:
            inside = address.removeprefix("#") in page.ids if address[:1] == "#" else False
            assert inside or (path.parent / address).is_file() or address[:5] == "data:", address
        assert not {"link", "iframe", "base", "object", "embed"} & set(page.tags)
        assert "url(http" not in text and "@import" not in text


def test_the_policy_allows_the_scripts_of_the_page_only(folder: Path) -> None:
    for path in sorted(folder.rglob("*.html")):
        page = Seen(path.read_text(encoding="utf-8"))
        ran = [
            text
            for text, kind in zip(page.scripts, page.kinds, strict=True)
            if kind != "application/json"
        ]
        digests = {b64encode(sha256(text.encode()).digest()).decode() for text in ran}
        rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
        assert rules["default-src"] == "'none'"
        allowed = {f"'sha256-{digest}'" for digest in digests}
        assert set(rules["script-src"].split()) == {"'self'", *allowed}


def test_words_of_the_author_are_only_words(folder: Path) -> None:
    text = (folder / "losses" / "a_b_script__.html").read_text(encoding="utf-8")
    page = Seen(text)
    said = "".join(page.words)
    assert "<script>alert(1)</script>" in said and "{{ 7 }}" in said
    assert "<img src=x onerror=alert(2)>" in said
    assert HOSTILE in page.code
    assert len(page.scripts) == 5 and "img" not in page.tags
    assert not any("\u2028" in script for script in page.scripts)
    assert "alert(1)" in "".join(Seen((folder / "index.html").read_text("utf-8")).words)


@pytest.mark.parametrize("name", FEW)
def test_a_page_holds_the_kernels_of_every_target(folder: Path, name: str) -> None:
    text = (folder / "losses" / f"{name}.html").read_text(encoding="utf-8")
    page, texts = Seen(text), kernels_of(folder, name)
    shown = set(re.findall(r'<details class="fold" data-key="([^"]*)"', text))
    assert shown == set(texts)
    for target in TARGETS:
        for file, made_of in generate(derive.load(name), target).items():
            assert texts[f"{target}/dense/{file}"] == made_of
    assert "Second derivative" in page.words and "Properties" in page.words
    assert page.tags.count("svg") >= 1


def test_a_page_holds_the_kernels_for_class_labels(tmp_path: Path) -> None:
    assert main(["atlas", "-o", str(tmp_path), "cross_entropy"]) == 0
    texts = kernels_of(tmp_path, "cross_entropy")
    for target in TARGETS:
        for file, text in generate(derive.load("cross_entropy"), target, labels="index").items():
            assert texts[f"{target}/index/{file}"] == text


def test_accuracy_is_shown_for_the_kernels_that_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured on the spot where nothing is kept; what is kept is dropped for another kernel."""
    monkeypatch.setattr(measured, "_file", dict)
    command = ["atlas", "-o", str(tmp_path), "mean_absolute_error"]
    page = tmp_path / "losses" / "mean_absolute_error.html"
    assert main(command) == 0
    assert "verify mean_absolute_error --accuracy" in page.read_text("utf-8")
    assert main([*command, "--accuracy"]) == 0
    rows = [
        row
        for row in measure(derive.load("mean_absolute_error"))
        if row.dtype == "float32" and row.regime == "moderate"
    ]
    text = page.read_text("utf-8")
    assert "float32" in text and f"<td>{rows[0].value_of_terms:.2f}</td>" in text
    known = {"digest": measured.digest(["this"]), "tables": {"x": {"far": {"float64": [0.5, 1.0]}}}}
    monkeypatch.setattr(measured, "_file", lambda: {"x": known})
    (table,) = measured.kept("x", ["this"])
    assert table.rows == (("far", ("0.50", "1.00", "–", "–")),)
    assert measured.kept("x", ["another"]) == ()


def test_a_second_run_writes_nothing_and_a_changed_page_is_made_again(
    folder: Path, hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["atlas", "-o", str(folder), "--json", *FEW, hostile]
    before = made(folder)
    times = {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["written"] == []
    assert times == {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}
    page = folder / "losses" / "huber.html"
    page.write_text("other", encoding="utf-8")
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["written"] == ["losses/huber.html"]
    assert made(folder) == before


def test_a_page_nobody_asks_for_goes_and_other_files_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert main(["atlas", "-o", str(out), "huber", "gamma"]) == 0
    own = [out / "losses" / "notes.html", tmp_path / "outside.html"]
    for path in own:
        path.write_text("mine", encoding="utf-8")
    known = json.loads((out / "manifest.json").read_text("utf-8"))
    known["pages"]["../outside.html"] = known["pages"]["losses/gamma.html"]
    (out / "manifest.json").write_text(json.dumps(known), encoding="utf-8")
    capsys.readouterr()
    assert main(["atlas", "-o", str(out), "--json", "huber"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == [
        "losses/gamma.html",
        "losses/gamma.kernels.js",
    ]
    assert all(path.read_text("utf-8") == "mine" for path in own)
    assert "gamma" not in (out / "index.html").read_text(encoding="utf-8")


def test_an_interrupted_run_leaves_whole_files_and_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["atlas", "-o", str(tmp_path), "--json", "huber", "gamma"]
    page_of = site.page_of

    def interrupted(work: site.Work) -> object:
        if work.name == "gamma":
            raise KeyboardInterrupt
        return page_of(work)

    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(site, "page_of", interrupted)
    assert main(command) == 130
    own = {"losses/huber.html", "losses/huber.kernels.js"}
    assert set(made(tmp_path)) == {*own, "manifest.json"}
    Seen((tmp_path / "losses" / "huber.html").read_text(encoding="utf-8"))
    monkeypatch.setattr(site, "page_of", page_of)
    capsys.readouterr()
    assert main(command) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert written == ["index.html", "losses/gamma.html", "losses/gamma.kernels.js"]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups")
def test_ctrl_c_ends_a_run_and_its_workers_at_once(tmp_path: Path) -> None:
    script = Path(sysconfig.get_path("scripts")) / "pminusy"
    out, losses = tmp_path / "site", ["huber", "hinge", "arcface", "l_softmax_2", "l_softmax_4"]
    command = [str(script), "atlas", "-o", str(out), *losses]
    # A shell's job in the background ignores it, and so would what is started here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, before)
    with run:
        while run.poll() is None and not list(out.glob("losses/*.html")):
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 130, said
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.killpg(run.pid, 0)
            time.sleep(0.05)
    pages = [path for path in out.rglob("*") if path.suffix == ".html"]
    assert 0 < len(pages) < len(losses)
    assert not [path for path in out.rglob(".*") if path.is_file()]
    for page in pages:
        Seen(page.read_text(encoding="utf-8"))


def test_bytes_do_not_depend_on_hash_seed_or_company(tmp_path: Path, folder: Path) -> None:
    script = Path(sysconfig.get_path("scripts")) / "pminusy"
    found = []
    for seed in ("1", "77"):
        out = tmp_path / seed
        done = subprocess.run(
            [str(script), "atlas", "-o", str(out), *FEW],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        found.append(made(out))
    assert found[0] == found[1]
    for name in FEW:
        page = f"losses/{name}.html"
        assert found[0][page] == made(folder)[page]


def test_what_has_no_page_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "still.loss"
    path.write_text("y: target\nL = y**2\n", encoding="utf-8")
    out = tmp_path / "site"
    assert main(["atlas", "-o", str(out), str(path)]) == 2
    assert "still has no input" in capsys.readouterr().err
    assert not out.exists()


def test_every_library_loss_has_a_family() -> None:
    losses = [derive.load(name) for name in derive.library()]
    found = {loss.name: family(loss) for loss in losses}
    assert set(found.values()) == set(FAMILIES)
    assert found["huber"] == found["quantile"] == "Regression"
    assert found["arcface"] == "Several classes, from cosines"
    assert found["hinge"] == "Two classes"


@pytest.mark.parametrize("name", derive.library())
def test_sliders_stay_inside_the_domain_and_start_on_their_grid(name: str) -> None:
    for declaration in derive.load(name).declarations:
        control = argument(declaration)
        if control["kind"] not in ("number", "simplex"):
            continue
        low, high, step = (float(control[key]) for key in ("low", "high", "step"))
        domain = declaration.domain
        assert 20 <= (high - low) / step <= 1000
        if domain.lower is not None:
            assert low > domain.lower if domain.lower_open else low >= domain.lower
        if domain.upper is not None:
            assert high < domain.upper if domain.upper_open else high <= domain.upper
        for start in map(float, control["start"]):
            assert low <= start <= high
            assert abs((start - low) / step - round((start - low) / step)) < 1e-6
        if declaration.default is not None:
            assert float(control["start"][0]) == float(declaration.default)
