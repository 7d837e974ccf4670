"""What the README and the documents in examples/ show is what the commands print."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import (
    ROOT,
    Block,
    Command,
    agrees,
    prepare,
    read_blocks,
    read_commands,
    rewrite,
    run_command,
    show,
)

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "examples").glob("*.md"))]
BLOCKS = [block for document in DOCUMENTS for block in read_blocks(document)]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_document_shows_what_commands_print(block: Block, tmp_path: Path, update: bool) -> None:
    prepare(tmp_path)
    results = [(command, run_command(command, tmp_path)) for command in block.commands]
    if update:
        # Only what is printed is rewritten: how a command ends is the author's to say.
        for said, actual in results:
            assert actual.code == said.code, f"{block}\nnow ends otherwise:\n{show(actual)}"
        rewrite(block, [said if agrees(said, actual) else actual for said, actual in results])
        return
    for said, actual in results:
        assert agrees(said, actual), f"{block}\nsays\n{show(said)}\nbut prints\n{show(actual)}"


def test_a_block_is_read_into_commands() -> None:
    text = "$ one\n> two\na\n\n  b\n$ three\n[exit 2]\n"
    assert read_commands(text) == (Command("one\ntwo", ("a", "", "  b")), Command("three", (), 2))
    assert "".join(show(command) for command in read_commands(text)) == text


def test_a_block_starts_with_a_command() -> None:
    with pytest.raises(ValueError, match="starts with"):
        read_commands("output without a command\n")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ((), (), True),
        ((), ("a",), False),
        (("a",), ("a",), True),
        (("a",), ("a", "b"), False),
        (("...",), (), True),
        (("...",), ("a", "b"), True),
        (("a", "...", "z"), ("a", "b", "c", "z"), True),
        (("a", "...", "z"), ("a", "b"), False),
        (("a.c",), ("abc",), False),
    ],
)
def test_output_is_compared_line_by_line(
    expected: tuple[str, ...], printed: tuple[str, ...], same: bool
) -> None:
    assert agrees(Command("x", expected), Command("x", printed)) is same
    assert not agrees(Command("x", expected), Command("x", printed, code=1))


def test_a_command_is_run_among_copies_of_the_examples(tmp_path: Path) -> None:
    prepare(tmp_path)
    command = read_commands("$ ls examples | grep -c md; echo no >&2; exit 3\n")[0]
    assert run_command(command, tmp_path).code == 3
    assert run_command(command, tmp_path).expected[-1] == "no"


def test_updating_rewrites_a_block_in_place(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# A\n\n```console\n$ echo 1\n2\n```\n\nText.\n")
    [block] = read_blocks(document)
    rewrite(block, [run_command(command, tmp_path) for command in block.commands])
    assert document.read_text() == "# A\n\n```console\n$ echo 1\n1\n```\n\nText.\n"
