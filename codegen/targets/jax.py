"""The JAX target: a function whose derivatives are derived ones, first and second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen.emit import render
from codegen.kernel import Kernel
from codegen.targets.array_lines import array_lines, tuple_of
from codegen.targets.array_samples import samples_of
from codegen.targets.autograd import Autograd
from codegen.targets.facts import Facts, wrapped
from codegen.targets.jax_binding import REMEDY, load
from codegen.targets.jax_dialect import JAX
from codegen.targets.jax_names import jax_names
from codegen.targets.numpy import default_of, folded, tables
from codegen.targets.target import Target

HELPERS = (
    *("_at", "_put", "_added", "_exp_difference", "_sigmoid", "_softplus", "_weighted"),
    "_valid",
)
SIZES = {"N": 3, "K": 4}
SECOND = (
    "Second derivatives are derived too: jax.grad of jax.grad, jax.jacrev of jax.jacrev.  A third",
    "raises NotImplementedError; jax.jvp and jax.hessian are not for a custom_vjp.",
)


@dataclass(frozen=True)
class Function:
    """A function of the module: decorators and signature, a sentence, and lines."""

    head: tuple[str, ...]
    summary: str
    lines: tuple[str, ...]


def emit(
    kernel: Kernel, facts: Facts, dtypes: tuple[str, ...], autograd: Autograd | None = None
) -> dict[str, str]:
    """The module; `autograd` has the kernels of the backward passes."""
    assert autograd is not None
    keys = tuple(key for key, _ in kernel.outputs if key)
    second = autograd.second if keys else None
    kernels = [k for k in (kernel, autograd.backward, second) if k is not None]
    names = jax_names(kernel.name, kernels)
    functions = _functions(kernel, autograd, names, keys)
    body = "\n".join(line for f in functions for line in f.lines)
    given = [names[g.name] for g in kernel.inputs]
    sizes = "sizes" if kernel.batch is not None and kernel.weight is None else "_"
    text = render(
        "jax.py.j2",
        facts=facts,
        name=kernel.name,
        signature=_signature(kernel.name, kernel, names),
        signature_both=_signature(f"{kernel.name}_value_and_gradient", kernel, names),
        prepare=folded(
            f"given, dtype, {sizes} = _prepare(", [f"{n}={n}" for n in given], ")", "        "
        ),
        functions=functions,
        helpers={helper for helper in HELPERS if f"{helper}(" in body},
        keys=keys,
        wrt=tuple_of(f'"{names[key]}"' for key in keys),
        result_names=tuple_of(f'"{key}"' for key in keys),
        **tables(kernel, names),
        has_second=second is not None,
        second=[wrapped(line) for line in autograd.results] if second is not None else (),
        orders=SECOND if second is not None else (_no_second(autograd),),
        reason=_quoted(autograd.reason),
        dtypes=tuple_of(f'"{dtype}"' for dtype in dtypes),
        divisor="_divisor(given, reduction, on_empty)"
        if kernel.weight is not None
        else '_divisor(sizes["N"], reduction, on_empty)',
        samples=tuple(samples_of(kernel.inputs, names, facts.domains, SIZES)),
    )
    return {f"{kernel.name}.py": text}


def _no_second(autograd: Autograd) -> str:
    return f"Second derivatives raise NotImplementedError: {_quoted(autograd.reason)}"


def _quoted(text: str) -> str:
    """Words that cannot end the string they stand in."""
    return "".join(c if c.isprintable() and c not in "\\\"'{}" else " " for c in text)


def _signature(name: str, kernel: Kernel, names: Mapping[str, str]) -> str:
    first = [names[g.name] for g in kernel.inputs if g.role != "const"]
    consts = [g for g in kernel.inputs if g.role == "const"]
    named = [names[g.name] for g in consts if g.default is None]
    named += [f"{names[g.name]}={default_of(g)}" for g in consts if g.default is not None]
    if kernel.batch is not None:
        named += ['reduction="none"', 'on_empty="nan"']
    return folded(f"def {name}(", [*first, *(["*", *named] if named else [])], "):", "    ")


def _functions(
    kernel: Kernel, autograd: Autograd, names: dict[str, str], keys: Sequence[str]
) -> tuple[Function, ...]:
    """The loss, its gradients by a cotangent, and theirs by directions."""
    given = [names[g.name] for g in kernel.inputs]
    loss = _function("_loss", given, "The loss.", kernel.needed(""), names, bool(keys))
    weights = kernel.weights
    text = "What each sample weighs in the mean."
    more = [] if weights is None else [_function("_weights", given, text, weights, names, False)]
    if not keys:
        return (loss, *more)
    weight = names[autograd.cotangent]
    back = autograd.backward.needed(*keys)
    text = "The gradients, those of each sample times its cotangent."
    pull = _function("_pull", [weight, *given], text, back, names, True)
    if autograd.second is None:
        return (loss, *more, pull)
    along = [names[name] for name in autograd.directions]
    text = "The change of the gradients along directions, weighted, and its own gradients."
    second = autograd.second.needed("", *keys)
    push = _function("_push", [weight, *given, *along], text, second, names, True)
    return (loss, *more, pull, push)


def _function(
    name: str,
    arguments: Sequence[str],
    summary: str,
    kernel: Kernel,
    names: dict[str, str],
    custom: bool,
) -> Function:
    known = dict(names)
    lines = array_lines(kernel.statements, known, JAX)
    marks = _valid_labels(kernel, names)
    results = [names[entry.tensor.name] for _, entry in kernel.outputs]
    one = name in ("_loss", "_weights")
    returned = results[0] if one else tuple_of(results)
    if one and marks:
        returned = f"jnp.where({marks}, {returned}, jnp.nan)"
    elif marks:
        lines.insert(0, f"{arguments[0]} = jnp.where({marks}, {arguments[0]}, jnp.nan)")
    lines = [*_setup(kernel, names, [*lines, returned]), *lines]
    last = f"{returned} = "
    if lines and lines[-1].startswith(last) and one:
        lines[-1] = f"return {lines[-1].removeprefix(last)}"
    else:
        lines.append(f"return {returned}")
    head = folded(f"def {name}(", list(arguments), "):", "    ").splitlines()
    marked = ("@jax.custom_vjp", "@jax.jit") if custom else ("@jax.jit",)
    return Function((*marked, *head), summary, tuple(lines))


def _valid_labels(kernel: Kernel, names: Mapping[str, str]) -> str:
    """Whether the labels of a sample are in range, as text; empty where there are none."""
    found = []
    for given in kernel.inputs:
        if given.tensor.label is not None and not given.is_mark:
            mark = f", {names[given.ignored.name]}" if given.ignored else ""
            found.append(f"_valid({names[given.name]}, {given.tensor.label}{mark})")
    return " & ".join(found)


def _setup(kernel: Kernel, names: Mapping[str, str], lines: Sequence[str]) -> Iterator[str]:
    """The type and the sizes, as far as the lines mention them."""
    words = _words("\n".join(lines))
    numbers = next(g for g in kernel.inputs if g.tensor.label is None)
    if "dtype" in words:
        yield f"dtype = {names[numbers.name]}.dtype"
    seen: set[str] = set()
    for given in kernel.inputs:
        for place, axis in enumerate(given.tensor.axes):
            if axis.name in words and axis.name not in seen:
                yield f"{axis.name} = {names[given.name]}.shape[{place}]"
                seen.add(axis.name)


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


TARGET = Target(
    "jax",
    "JAX: a function with a custom_vjp, first and second derivatives as derived",
    emit,
    load,
    modules=("jax",),
    remedy=REMEDY,
    autograd=True,
)
