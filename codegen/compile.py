"""C source -> shared library, with the system's compiler, in a cache of the user's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from derive.errors import KernelError

COMPILERS = ("cc", "gcc", "clang")
# No -ffast-math: it would fold away the additions that round, and the checks for NaN.
FLAGS = (
    *("-std=c99", "-O3", "-march=native", "-shared", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
# Tried in this order: threads and vectors, vectors alone, neither; and what gcc alone knows.
PARALLEL = (("-fopenmp",), ("-fopenmp-simd", "-DPM_USE_SIMD"), ())
UNROLLED = ("-funroll-loops", "-fvariable-expansion-in-unroller")


def library(files: dict[str, str], name: str, defines: tuple[str, ...] = ()) -> Path:
    """The shared library of `name`.c among the files; compiled once, and then found again.

    Safe when two processes build at once: each compiles into a folder of its own, and renames.
    Raises KernelError where there is no compiler, or it refuses.
    """
    compiler = find_compiler()
    libraries = blas(compiler) if any("PM_CBLAS" in text for text in files.values()) else ()
    words = [*libraries, *FLAGS, *PARALLEL[0], *UNROLLED, *defines, *machine(compiler)]
    for file in sorted(files):
        words += [file, files[file]]
    key = hashlib.sha256("\0".join(words).encode()).hexdigest()[:24]
    place = cache_folder() / f"{name}-{key}.so"
    if not place.exists():
        _compile(compiler, files, name, defines, libraries, place)
    return place


def find_compiler() -> str:
    """The C compiler: $CC, or the first of cc, gcc and clang."""
    wanted = os.environ.get("CC")
    for candidate in (wanted,) if wanted else COMPILERS:
        found = shutil.which(candidate)
        if found:
            return found
    tried = f"'{wanted}', from $CC" if wanted else ", ".join(COMPILERS)
    raise KernelError(
        f"no C compiler is here (looked for {tried}); install one, or use target='numpy',"
        " which needs none"
    )


@lru_cache(maxsize=4)
def machine(compiler: str) -> tuple[str, ...]:
    """What the compiler says of itself and of this processor: libraries fit no other."""
    command = [compiler, "-march=native", "-dM", "-E", "-x", "c", os.devnull]
    macros = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return (compiler, *sorted(macros.splitlines()))


@lru_cache(maxsize=4)
def blas(compiler: str) -> tuple[str, ...]:
    """The words that link the system's BLAS; none where it has none, and loops do its work."""
    program = "void cblas_sgemm(void); int main(void) { cblas_sgemm(); return 0; }"
    for word in ("-lopenblas", "-lcblas", "-l:libopenblas.so.0"):
        with tempfile.TemporaryDirectory() as room:
            command = [compiler, "-x", "c", "-", "-x", "none", "-o", f"{room}/program", word]
            done = subprocess.run(
                command, input=program, capture_output=True, text=True, check=False
            )
        if done.returncode == 0:
            return ("-DPM_CBLAS", word)
    return ()


def cache_folder() -> Path:
    """Where the libraries are kept; $PMINUSY_CACHE overrides the system's place for caches."""
    import platformdirs

    chosen = os.environ.get("PMINUSY_CACHE")
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("pminusy", False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached_file(name: str, suffix: str, text: str) -> Path:
    """A file with this text in the cache; its name has the hash of the text."""
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    place = cache_folder() / f"{name}_{key}{suffix}"
    if not place.exists():
        # Beside its place, then renamed: another process never sees half of it.
        handle, draft = tempfile.mkstemp(dir=place.parent, suffix=".draft")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).replace(place)
    return place


def _compile(
    compiler: str,
    files: dict[str, str],
    name: str,
    defines: tuple[str, ...],
    libraries: tuple[str, ...],
    place: Path,
) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="build-") as room:
        for file, text in files.items():
            (Path(room) / file).write_text(text, encoding="utf-8")
        made = Path(room) / place.name
        for extra in [(*p, *u) for p in PARALLEL for u in (UNROLLED, ())]:
            command = [
                compiler,
                *FLAGS,
                *extra,
                *defines,
                "-o",
                str(made),
                f"{name}.c",
                *libraries,
                "-lm",
            ]
            done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                made.replace(place)
                return
    said = done.stderr.strip().splitlines() or ["no message"]
    first = next((line for line in said if "error" in line), said[0])
    raise KernelError(
        f"{Path(compiler).name} could not compile {name}.c: {first};"
        " target='numpy' needs no compiler"
    )
