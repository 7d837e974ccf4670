"""Where files go, and which options go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.cli import main


def test_generated_files_go_where_they_are_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "hinge", "-o", "mine.py"]) == 0
    assert capsys.readouterr().out == "mine.py\n" and (tmp_path / "mine.py").is_file()
    assert main(["generate", "hinge", "-o", "kernels"]) == 0
    assert (tmp_path / "kernels/hinge.py").read_bytes() == (tmp_path / "mine.py").read_bytes()
    assert main(["generate", "hinge", "--target", "c", "-o", "hinge.c"]) == 2
    assert "3 files need a folder, found the file name 'hinge.c'" in capsys.readouterr().err
    assert not (tmp_path / "hinge.c").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--value", "L", "--order", "2"], "--order is for a derivative: leave it or --value out"),
        (["--stable", "--of", "p"], "--of is for a derivative: leave it or --stable out"),
    ],
)
def test_options_of_derivatives_do_not_go_with_values(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["derive", "softmax_cross_entropy", *options]) == 2
    assert said in capsys.readouterr().err
