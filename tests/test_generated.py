"""generated/ is what the library gives today; `pytest --update` brings it up to date."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import samples

import codegen
import derive
from codegen.library import library_files


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "generated"


def test_generated_files_are_current(folder: Path, update: bool) -> None:
    files = dict(library_files())
    if update:
        write(folder, files)
    found = {path.relative_to(folder).as_posix() for path in folder.glob("*/*.*")}
    assert found == set(files), "stale or missing files: run pytest --update"
    for name, text in files.items():
        assert (folder / name).read_text(encoding="utf-8") == text, f"{name}: run pytest --update"


def write(folder: Path, files: dict[str, str]) -> None:
    """Write each file beside its place, then rename it there; delete what no longer belongs."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(place)
    for path in folder.glob("*/*.*"):
        if path.relative_to(folder).as_posix() not in files:
            path.unlink(missing_ok=True)


def test_update_deletes_what_is_stale(tmp_path: Path) -> None:
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "old.py").write_text("stale")
    write(tmp_path, {"numpy/new.py": "text"})
    assert [path.name for path in tmp_path.glob("*/*")] == ["new.py"]


def test_text_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import codegen, derive, hashlib\n"
        "names = ['linear_softmax_cross_entropy', 'softmax_mse', 'kl_divergence']\n"
        "texts = [t for n in names for t in codegen.generate(derive.load(n)).values()]\n"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())\n"
    )
    digests = set()
    for seed in ("0", "1", "17"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_files_stand_alone(folder: Path) -> None:
    """They import numpy and nothing of ours, and compute what the built kernel computes."""
    for path in sorted(folder.glob("numpy/*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        imports = {line for line in lines if line.startswith(("import ", "from "))}
        assert imports == {"import numpy as np"}
    name = "linear_softmax_cross_entropy"
    spec = importlib.util.spec_from_file_location(name, folder / "numpy" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kernel = codegen.build(derive.load(name))
    given = samples.arrays(kernel.loss)
    loss, found = kernel(**given)
    alone = getattr(module, name)(**given)
    np.testing.assert_array_equal(alone, kernel.functions[name](**given))
    np.testing.assert_allclose(alone, loss, rtol=1e-14)
    slopes = getattr(module, f"{name}_gradient")(**given)
    again, same = getattr(module, f"{name}_value_and_gradient")(**given)
    np.testing.assert_array_equal(again, loss)
    built = kernel.functions[f"{name}_gradient"](**given)
    for wrt in kernel.wrt:
        np.testing.assert_array_equal(slopes[wrt], built[wrt])
        np.testing.assert_allclose(slopes[wrt], found[wrt], rtol=1e-13)
        np.testing.assert_array_equal(same[wrt], found[wrt])
    assert name.replace("_", " ").split()[0] in (module.__doc__ or "").lower()
