"""Generate a kernel: the loss, its gradients, and both at once, as a file that stands alone.

  pminusy generate softmax_cross_entropy --target numpy --wrt a
  pminusy generate linear_softmax_cross_entropy --labels index -o kernels
  pminusy generate softmax_cross_entropy --wrt a --explain      how it was made stable
  pminusy generate my.loss --measure --explain      choose its form by measuring, and say why
  pminusy generate softmax_cross_entropy --labels index --shard K --explain      over many ranks

--wrt cuts: a definition named there becomes an input of the kernel.  By default it is every
input and param.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen.commands import as_json, say, split_names, write_file
from derive.errors import PminusyError

if TYPE_CHECKING:
    from codegen.builder import KernelFunction
    from codegen.objectives import ObjectiveFunction
    from derive.loss import Loss

HELP = "generate kernels"


def arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("loss", metavar="LOSS", help="a library name, a .loss file, or -")
    add(
        "--target",
        metavar="TARGETS",
        default="numpy",
        help="numpy, c, numba, javascript, torch, jax, triton, xgboost, lightgbm, catboost, "
        "hist_gradient_boosting: one or more",
    )
    add("--wrt", metavar="NAMES", help="gradients with respect to these: a or W,b")
    add("--labels", choices=("dense", "index"), default="dense", help="the target as class labels")
    add("--naive", action="store_true", help="the formulas as written, not made stable")
    add(
        "--compensate",
        action="store_true",
        help="carry rounding errors where exp, powers and the like would make more of them",
    )
    add("--explain", action="store_true", help="print what makes it stable, and the schedule")
    add("--measure", action="store_true", help="choose the form by measuring here and now")
    add("--shard", metavar="AXES", help="axes that are split over ranks: K (the classes), N, K,N")
    add("--hessian", metavar="POLICY", help="of a boosting library: exact, fisher, floor:EPS, ...")
    add(
        "-o", metavar="PLACE", dest="out", help="write to a folder, or one file to a name like k.py"
    )


def run(options: Namespace) -> int:
    from codegen.builder import build
    from codegen.chosen import read
    from codegen.library import EVERY
    from derive import load

    loss = load(options.loss)
    wrt = split_names(options.wrt) if options.wrt else None
    row = _measured(loss, wrt, options.labels) if options.measure else None
    how: dict[str, Any] = {"labels": options.labels, "stable": not options.naive}
    how["selection"] = read(row["chosen"]) if row is not None else None
    if options.shard is not None:
        if options.compensate:
            raise PminusyError("--compensate does not go with --shard: leave one of them out")
        return _over_ranks(loss, wrt, how, options)
    how |= {"compensate": True} if options.compensate else {}
    files: dict[str, str] = {}
    targets = split_names(options.target)
    unknown = [target for target in targets if target not in EVERY]
    if unknown:
        raise PminusyError(f"--target: expected one of {', '.join(EVERY)}, found '{unknown[0]}'")
    explained: list[str] = []
    for target in targets:
        made = _objective(loss, target, wrt, options) or build(loss, target, wrt, **how)
        folder = f"{target}/" if len(targets) > 1 else ""
        files |= {folder + name: text for name, text in made.files.items()}
        explained = _explained(made, row, options.naive) if options.explain else []
    return _written(loss, files, explained, options)


def _objective(
    loss: Loss, target: str, wrt: list[str] | None, options: Namespace
) -> ObjectiveFunction | None:
    """The objective of a boosting library, where the target is one."""
    from codegen.library import only
    from codegen.objectives import OBJECTIVES, objective
    from derive.errors import KernelError

    if target in OBJECTIVES:
        if options.naive or options.measure or options.compensate:
            raise KernelError(f"{target}: an objective is always made stable, by every rule")
        return objective(loss, target, only(wrt, target), options.hessian)
    if options.hessian is not None:
        known = ", ".join(OBJECTIVES)
        raise KernelError(f"--hessian is for the boosting libraries, {known}: not for {target}")
    return None


def _over_ranks(loss: Loss, wrt: list[str] | None, how: dict[str, Any], options: Namespace) -> int:
    """The kernel of a rank, or what it does and which messages it sends."""
    from codegen.shard.show import cost_table, program_lines
    from codegen.sharding import build_sharded

    axes = split_names(options.shard)
    if options.explain and options.out is None:
        program = build_sharded(loss, axes, "", wrt, **how).program
        lines = ["Over many ranks", *(f"  {x}" for x in program_lines(program)), ""]
        return _written(loss, {}, [*lines, *cost_table(program)], options)
    files: dict[str, str] = {}
    targets = split_names(options.target)
    for target in targets:
        folder = f"{target}/" if len(targets) > 1 else ""
        made = build_sharded(loss, axes, target, wrt, **how)
        files |= {folder + name: text for name, text in made.files.items()}
    return _written(loss, files, [], options)


def _written(loss: Loss, files: dict[str, str], explained: list[str], options: Namespace) -> int:
    """Write the files, and say what was asked for."""
    places = _places(files, options.out) if options.out is not None else {}
    for name, place in places.items():
        write_file(place, files[name])
    if options.json:
        as_json({"loss": loss.name, "files": files})
    elif explained:
        say("\n".join(explained).rstrip())
    elif places:
        say("\n".join(map(str, places.values())))
    else:
        say("\n".join(text.rstrip() for text in files.values()))
    return 0


def _places(files: dict[str, str], out: str) -> dict[str, Path]:
    """Where the files go: into a folder, or the only one to a name with its suffix."""
    named, suffixes = Path(out), {Path(name).suffix for name in files}
    if named.suffix not in suffixes or named.is_dir():
        return {name: named / name for name in files}
    if len(files) > 1:
        raise PminusyError(f"-o: {len(files)} files need a folder, found the file name '{out}'")
    return dict.fromkeys(files, named)


def _explained(
    kernel: KernelFunction | ObjectiveFunction, row: dict[str, Any] | None, naive: bool
) -> list[str]:
    """What makes the kernel stable, which forms were measured, and the schedule."""
    from codegen.chosen import digest, table
    from codegen.documents import write
    from codegen.explain import checked, choice_lines
    from codegen.objectives import ObjectiveFunction, policy_lines
    from codegen.schedule import schedule, schedule_lines

    lines = [write(d, "text") for d in checked(kernel.explain)]
    if isinstance(kernel, ObjectiveFunction):
        return [*lines, *policy_lines(kernel.policy, kernel.possible)]
    if not naive:
        lines += [*choice_lines(row or table().get(digest(kernel.loss, kernel.wrt))), ""]
    in_c = kernel.target == "c"
    plan = schedule(kernel.kernel, products=in_c, online=in_c)
    return [*lines, "Schedule", *(f"  {x}" for x in schedule_lines(plan))]


def _measured(loss: Loss, wrt: list[str] | None, labels: str) -> dict[str, Any]:
    from codegen.forms import choose

    return choose(loss, wrt, labels).data()
