"""The source of an objective: the kernel as NumPy, and what the library calls around it."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from codegen.emit import render
from codegen.kernel import Kernel
from codegen.objectives.fit import Fit
from codegen.objectives.objective import Library
from codegen.objectives.policies import Chosen, policy_lines
from codegen.targets.facts import Facts
from codegen.targets.numpy import HELPERS, safe_names
from codegen.targets.numpy_function import Function, function

# Names that the class of an objective has for itself.
TAKEN = {
    *("derivatives", "link", "initial_score", "self", "no_jit"),
    *("sklearn", "metric", "sklearn_metric"),
    *("calc_ders_range", "calc_ders_multi", "is_max_optimal", "evaluate", "get_final_error"),
}


@dataclass(frozen=True)
class Said:
    """What a generated objective says of itself, and which outputs its kernel has."""

    facts: Facts
    derived: Mapping[str, tuple[str, ...]]
    policy: Chosen
    possible: tuple[str, ...]
    fit: Fit
    keys: tuple[str, ...]


def emit(kernel: Kernel, library: Library, said: Said) -> dict[str, str]:
    """The one module of an objective."""
    names = safe_names(kernel)
    arguments = ", ".join(names[g.name] for g in kernel.inputs)
    slope, second, *predicted = said.keys
    parts = {"derivatives": ("", slope, second), "link": tuple(predicted)}
    functions: dict[str, Function | None] = {
        name: function(kernel, names, arguments, "", keys, scaled=False) if keys else None
        for name, keys in parts.items()
    }
    body = "\n".join(line for f in functions.values() if f for line in f.lines)
    scores = names[kernel.inputs[0].name]
    fields = _fields(kernel, names)
    linked = functions["link"]
    text = render(
        library.template,
        library=library,
        facts=said.facts,
        derived=said.derived,
        policy=said.policy,
        policy_lines=policy_lines(said.policy, said.possible),
        fields=fields,
        consts=[f"self.{field}" for field, _, _ in fields],
        arguments=arguments,
        link_arguments=", ".join([scores, *(name for _, _, name in fields)]),
        functions=functions,
        helpers={helper for helper in HELPERS if f"{helper}(" in body},
        scores=scores,
        keys={"slope": slope, "second": second, "link": predicted[0] if predicted else ""},
        classes=said.fit.classes.name if said.fit.classes else "",
        shape=f"(N, {said.fit.classes})" if said.fit.classes else "(N,)",
        mentions=_words(functions["derivatives"]),
        link_mentions=_words(linked) if linked else (),
        kind=said.fit.kind,
        estimator="Classifier" if said.fit.kind in ("class", "binary", "sign") else "Regressor",
        bounds=_bounds(said.fit),
        target_drawn=_drawn(said.fit),
        scales=False,
        kernel=kernel,
    )
    return {f"{kernel.name}.py": text}


def _fields(kernel: Kernel, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """For each const: the name of the field, its default, and the name in the kernel."""
    fields: list[tuple[str, str, str]] = []
    for given in kernel.inputs[2:]:
        name = names[given.name]
        while name in TAKEN or keyword.iskeyword(name) or name in {f[0] for f in fields}:
            name += "_"
        assert given.default is not None
        fields.append((name, repr(float(given.default)), names[given.name]))
    return fields


def _bounds(fit: Fit) -> list[tuple[str, str]]:
    """What a target has to be, as (comparison, number) that every label has to pass."""
    domain = fit.loss.declared[fit.target].domain
    if domain.kind == "unit":
        return [(">=", "0"), ("<=", "1")]
    if domain.kind != "real":
        return []
    ends = [(domain.lower, domain.lower_open, ">"), (domain.upper, domain.upper_open, "<")]
    return [
        (sign if is_open else sign + "=", str(float(Fraction(int(end.p), int(end.q)))))
        for end, is_open, sign in ends
        if end is not None and end.is_Rational
    ]


def _drawn(fit: Fit) -> str:
    """A target for the self-test, out of a signal of about unit size."""
    simple = {
        "class": "np.digitize(signal, [-0.5, 0.5])",
        "binary": "np.where(signal > 0, 1.0, 0.0)",
        "sign": "np.where(signal > 0, 1.0, -1.0)",
    }
    if fit.kind in simple:
        return simple[fit.kind]
    ends = {sign[0]: end for sign, end in _bounds(fit)}
    if len(ends) == 2:
        return f"{ends['>']} + ({ends['<']} - {ends['>']}) / (1 + np.exp(-signal))"
    if ends:
        sign = "+" if ">" in ends else "-"
        return f"{next(iter(ends.values()))} {sign} np.exp(signal)"
    return "signal"


def _words(function: Function | None) -> frozenset[str]:
    body = "\n".join(function.lines) if function else ""
    return frozenset("".join(c if c.isalnum() or c == "_" else " " for c in body).split())
