"""The PyTorch target: a function, an `autograd.Function` and an `nn.Module` for each loss."""

from __future__ import annotations

from dataclasses import replace

from codegen.emit import render
from codegen.kernel import Input, Kernel
from codegen.targets.array_lines import tuple_of
from codegen.targets.autograd import Autograd
from codegen.targets.facts import Facts, quoted, wrapped
from codegen.targets.leaner import leaner
from codegen.targets.numpy import default_of, folded, tables
from codegen.targets.target import Target
from codegen.targets.torch_binding import REMEDY, load
from codegen.targets.torch_names import class_name, torch_names
from codegen.targets.torch_passes import passes_of
from codegen.targets.torch_samples import samples_of

OPTIONS = {"reduction": '"mean"', "on_empty": '"nan"', "check": "True"}
HELPERS = (
    *("_at", "_put", "_added", "_choose", "_exp_difference", "_sigmoid", "_softplus"),
    *("_sign", "_weighted"),
)


def emit(
    kernel: Kernel, facts: Facts, dtypes: tuple[str, ...], autograd: Autograd | None = None
) -> dict[str, str]:
    """The module; `autograd` has the kernels of the backward passes."""
    assert autograd is not None
    second = None if autograd.second is None else leaner(autograd.second)
    autograd = replace(autograd, backward=leaner(autograd.backward), second=second)
    names = torch_names(kernel, autograd)
    passes = passes_of(kernel, autograd, names)
    body = "\n".join(line for one in passes.all for line in one.lines)
    given = [names[g.name] for g in kernel.inputs]
    consts = [names[g.name] for g in kernel.inputs if g.role == "const"]
    arguments = [names[g.name] for g in kernel.inputs if g.role != "const"]
    options = _options(kernel)
    said = tables(kernel, names)
    labels = said["has_labels"]
    samples = samples_of(kernel, names, facts.domains)
    tests = {"_types()": True, "_batches()": kernel.batch, "_labels()": labels}
    text = render(
        "torch.py.j2",
        facts=facts,
        name=kernel.name,
        module=class_name(kernel.name),
        prepare=_prepare(given, labels),
        size=len(given),
        consts=consts,
        options=options,
        held=tuple_of(f'"{name}"' for name in (*consts, *options)),
        kept=_kept(passes.forward.returned),
        call=_call(kernel.name, arguments, (*consts, *options)),
        signatures=_signatures(kernel, names),
        wrt=[names[key] for key in passes.keys],
        places=tuple_of(str(given.index(names[key])) for key in passes.keys),
        passes=passes,
        second=autograd.second is not None,
        results=[wrapped(line) for line in autograd.results],
        reason=quoted(autograd.reason),
        batch=tuple_of(f'"{names[g.name]}"' for g in kernel.inputs if _is_batched(kernel, g)),
        helpers={helper for helper in HELPERS if f"{helper}(" in body},
        math="math." in body,
        products=" @ " in body or "einsum(" in body,
        **said,
        samples=samples,
        draws=any("drawn" in code for _, code in samples),
        parts=", ".join(name for name, wanted in tests.items() if wanted),
    )
    return {f"{kernel.name}.py": text}


def _signatures(kernel: Kernel, names: dict[str, str]) -> dict[str, str]:
    """The heads of the functional form, and of the two methods of the module."""
    first = [names[g.name] for g in kernel.inputs if g.role != "const"]
    consts = [g for g in kernel.inputs if g.role == "const"]
    named = [names[g.name] for g in consts if g.default is None]
    named += [f"{names[g.name]}={default_of(g)}" for g in consts if g.default is not None]
    named += [f"{name}={OPTIONS[name]}" for name in _options(kernel)]
    return {
        "function": folded(f"def {kernel.name}(", [*first, *_star(named)], "):", "    "),
        "init": folded("def __init__(", ["self", *_star(named)], "):", "        "),
        "forward": folded("def forward(", ["self", *first], "):", "        "),
    }


def _star(named: list[str]) -> list[str]:
    return ["*", *named] if named else []


def _options(kernel: Kernel) -> list[str]:
    """The options that there are: of a reduction, and of labels."""
    labels = any(g.tensor.label and not g.is_mark for g in kernel.inputs)
    wanted = {"reduction": kernel.batch, "on_empty": kernel.batch, "check": labels}
    return [name for name in OPTIONS if wanted[name]]


def _is_batched(kernel: Kernel, given: Input) -> bool:
    return kernel.batch is not None and kernel.batch in given.tensor.axes


def _prepare(given: list[str], labels: bool) -> str:
    """The call that checks the arguments."""
    items = [*(["check"] if labels else []), *(f"{name}={name}" for name in given)]
    return folded(f"given{', poison' if labels else ''} = _prepare(", items, ")", "        ")


def _kept(returned: tuple[str, ...]) -> str:
    """What the forward pass returns: always a tuple."""
    if len(returned) == 1:
        return f"return ({returned[0]},)"
    flat = f"return {', '.join(returned)}"
    return flat if len(flat) <= 92 else folded("return (", returned, ")", "            ")


def _call(name: str, arguments: list[str], kept: tuple[str, ...]) -> str:
    """The functional form, as the module calls it."""
    items = [*arguments, *(f"{each}=self.{each}" for each in kept)]
    return folded(f"return {name}(", items, ")", "            ")


TARGET = Target(
    "torch",
    "PyTorch: a function, an autograd.Function and an nn.Module, with second derivatives",
    emit,
    load,
    modules=("torch",),
    remedy=REMEDY,
    autograd=True,
)
