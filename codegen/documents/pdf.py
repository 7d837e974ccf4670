"""A derivation as PDF, typeset by pdflatex where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from codegen.documents.latex import article
from codegen.documents.model import NOTHING, Wanted
from derive.derivation import Derivation
from derive.errors import PminusyError

REMEDY = "PDF needs pdflatex: apt-get install texlive-latex-base, or --to latex"
SECONDS = 120
QUIET = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]


def pdf(derivation: Derivation, detail: str = "normal", wanted: Wanted = NOTHING) -> bytes:
    """The article, typeset; the same bytes on every run of one TeX installation.

    Raises PminusyError without a TeX, and where it stops: with the line that it stopped at.
    """
    program = shutil.which("pdflatex")
    if program is None:
        raise PminusyError(REMEDY)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.tex").write_text(article(derivation, detail, wanted), encoding="utf-8")
        for picture in wanted.pictures:
            address = folder / wanted.picture_at.format(picture.name)
            address.write_bytes(picture.file("pdf"))
        # What is stamped into a PDF is the time of this variable, not of the day.
        env = {**os.environ, "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
        command = [program, *QUIET, "page.tex"]
        try:
            done = subprocess.run(
                command, cwd=folder, env=env, capture_output=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PminusyError(f"pdflatex took longer than {SECONDS} s") from error
        if done.returncode:
            raise PminusyError(f"pdflatex stopped: {_complaint(done.stdout)}")
        return (folder / "page.pdf").read_bytes()


def _complaint(log: bytes) -> str:
    lines = log.decode("utf-8", "replace").splitlines()
    return next((line[1:].strip() for line in lines if line.startswith("!")), "no reason given")
