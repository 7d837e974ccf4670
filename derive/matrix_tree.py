"""How matrix notation is put together: each constructor keeps a tree as an author would write it.

Scalars stand in front; there are no double transposes and no products with the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr

from derive.matrix_nodes import ONE, SCALAR, Mat, is_zero, number, ones, weight, zero

ELEMENTWISE = ("add", "had", "pow", "call", "step", "choice", "compare", "logic")

# ---------------------------------------------------------------- scalar factors


def parts(node: Mat) -> tuple[Expr, list[Mat], list[Mat], Mat | None]:
    """A node as coefficient, multiplying scalars, dividing scalars and what they multiply."""
    if node.op == "number" and node.data.is_Rational:
        return node.data, [], [], None
    if node.op != "scale":
        return (ONE, [node], [], None) if node.shape == SCALAR else (ONE, [], [], node)
    coefficient, count, has_body = node.data
    end = len(node.args) - 1 if has_body else len(node.args)
    body = node.args[-1] if has_body else None
    return coefficient, list(node.args[:count]), list(node.args[count:end]), body


def scale(
    coefficient: Expr, above: Sequence[Mat], below: Sequence[Mat], body: Mat | None = None
) -> Mat:
    """A product of scalars with at most one vector or matrix, the scalars in front."""
    over: list[Mat] = []
    under: list[Mat] = []
    for node in (*above, *((body,) if body is not None else ())):
        factor, up, down, inner = parts(node)
        coefficient, body = coefficient * factor, inner if node is body else body
        over, under = over + up, under + down
    for node in below:
        factor, up, down, _ = parts(node)
        coefficient = coefficient / factor
        over, under = over + down, under + up
    if coefficient == 0 or (body is not None and is_zero(body)):
        return zero(body.shape if body is not None else SCALAR)
    if body is None and not over and not under:
        return number(coefficient)
    if coefficient == 1 and not under:
        if body is None and len(over) == 1:
            return over[0]
        if body is not None and not over:
            return body
    if coefficient < 0 and body is not None and (turned := _turned(body)) is not None:
        return scale(-coefficient, over, under, turned)
    last = () if body is None else (body,)
    data = (coefficient, len(over), body is not None)
    return Mat("scale", (*over, *under, *last), data, body.shape if body else SCALAR)


def is_negative(node: Mat) -> bool:
    """Whether a term is written with a minus sign."""
    coefficient = parts(node)[0]
    return bool(coefficient < 0)


def _turned(body: Mat) -> Mat | None:
    """The negative of a body as long as it is, by turning a sum that has a minus sign in it."""
    if body.op == "add" and any(is_negative(term) for term in body.args):
        return add([scale(-ONE, [], [], term) for term in body.args], body.shape)
    if body.op == "transpose":
        inner = _turned(body.args[0])
        return None if inner is None else _transposed(inner)
    if body.op in ("matmul", "had"):
        for place, arg in enumerate(body.args):
            if (inner := _turned(arg)) is not None:
                args = (*body.args[:place], inner, *body.args[place + 1 :])
                return Mat(body.op, args, body.data, body.shape)
    return None


def bare(nodes: Sequence[Mat]) -> tuple[Expr, list[Mat], list[Mat], list[Mat]]:
    """Vectors and matrices without their scalar factors, and these factors together."""
    coefficient: Expr = ONE
    above: list[Mat] = []
    below: list[Mat] = []
    bodies: list[Mat] = []
    for node in nodes:
        factor, up, down, body = parts(node)
        assert body is not None
        coefficient, above, below = coefficient * factor, above + up, below + down
        bodies.append(body)
    return coefficient, above, below, bodies


# ---------------------------------------------------------------- entry by entry


def had(above: Sequence[Mat], below: Sequence[Mat], shape: tuple[str, str]) -> Mat:
    """A product entry by entry, divided by another one."""
    if any(is_zero(node) for node in above):
        return zero(shape)
    factor, up, down, over = bare(above)
    divisor, down2, up2, under = bare(below)
    top: list[Mat] = []
    bottom: list[Mat] = []
    for node in over:
        count = node.data if node.op == "had" else 1
        inside = node.args if node.op == "had" else (node,)
        top, bottom = top + list(inside[:count]), bottom + list(inside[count:])
    for node in under:
        count = node.data if node.op == "had" else 1
        inside = node.args if node.op == "had" else (node,)
        top, bottom = top + list(inside[count:]), bottom + list(inside[:count])
    top = [node for node in top if not all_ones(node)] or [everywhere_one(shape)]
    body = top[0] if len(top) == 1 and not bottom else None
    body = body or tidy(Mat("had", (*top, *bottom), len(top), shape))
    return scale(factor / divisor, [*up, *up2], [*down, *down2], body)


def everywhere_one(shape: tuple[str, str]) -> Mat:
    """A vector or matrix of ones."""
    rows, columns = shape
    if not columns:
        return ones(rows)
    return matmul(*((ones(rows),) if rows else ()), transpose(ones(columns)))


def all_ones(node: Mat) -> bool:
    if node.op == "matmul":
        return len(node.args) == 2 and all(all_ones(arg) for arg in node.args)
    return node.op == "ones" or (node.op == "transpose" and node.args[0].op == "ones")


def add(terms: Sequence[Mat], shape: tuple[str, str]) -> Mat:
    """A sum; what all terms begin or end with as matrix products is taken out."""
    flat = [part for term in terms for part in (term.args if term.op == "add" else (term,))]
    kept = sorted((term for term in flat if not is_zero(term)), key=is_negative)
    if not kept:
        return zero(shape)
    if len(kept) == 1:
        return kept[0]
    if all(is_negative(term) for term in kept):
        return scale(-ONE, [], [], add([scale(-ONE, [], [], term) for term in kept], shape))
    return tidy(_common_chain(kept, shape) or Mat("add", tuple(kept), None, shape))


def _common_chain(terms: Sequence[Mat], shape: tuple[str, str]) -> Mat | None:
    """A B + A C as A (B + C), where nothing is left over from either."""
    split = [parts(term) for term in terms]
    chains = [list(body.args) if body and body.op == "matmul" else [] for *_, body in split]
    front = _shared(chains)
    back = _shared([chain[front:][::-1] for chain in chains])
    if not front and not back:
        return None
    ends = chains[0][:front], chains[0][len(chains[0]) - back :]
    inner = [
        scale(c, up, down, matmul(*chain[front : len(chain) - back]))
        for (c, up, down, _), chain in zip(split, chains, strict=True)
    ]
    if any(node.shape != inner[0].shape for node in inner):
        return None
    return matmul(*ends[0], add(inner, inner[0].shape), *ends[1])


def _shared(chains: Sequence[list[Mat]]) -> int:
    """How many first factors are the same in all chains, one at least left in each."""
    most = min(len(chain) for chain in chains) - 1
    count = 0
    while count < most and all(chain[count] == chains[0][count] for chain in chains):
        count += 1
    return count


# ---------------------------------------------------------------- transposes and products


def transpose(node: Mat) -> Mat:
    """The transpose, written on whichever side it is shorter."""
    if node.shape == SCALAR:
        return node
    if node.op == "scale":
        *factors, body = node.args
        return Mat("scale", (*factors, transpose(body)), node.data, node.shape[::-1])
    flipped = _flip(node)
    longest = weight(node) + (node.op not in ELEMENTWISE)
    if flipped is not None and weight(flipped) <= longest:
        return flipped
    return _transposed(node)


def _transposed(node: Mat) -> Mat:
    return Mat("transpose", (node,), None, node.shape[::-1])


def _flip(node: Mat) -> Mat | None:
    """The transpose with the sign at the leaves; None where a node cannot be turned so."""
    if node.op == "transpose":
        return node.args[0]
    if node.op in ("diag", "identity") or node.shape == SCALAR:
        return node
    shape = node.shape[::-1]
    if node.op == "zero":
        return zero(shape)
    if node.op == "matmul":
        return Mat("matmul", tuple(transpose(arg) for arg in reversed(node.args)), None, shape)
    if node.op in ELEMENTWISE or node.op == "scale":
        turned = [_flip(arg) for arg in node.args]
        args = [arg for arg in turned if arg is not None]
        return Mat(node.op, tuple(args), node.data, shape) if len(args) == len(turned) else None
    return _transposed(node)


def tidy(node: Mat) -> Mat:
    """A node, or the transpose of its transpose where that is shorter: (P - Y)^T."""
    flipped = _flip(node)
    if flipped is None or weight(flipped) + 1 >= weight(node):
        return node
    return _transposed(flipped)


def matmul(*nodes: Mat) -> Mat:
    """A product of matrices, vectors and rows."""
    shape = nodes[0].shape[0], nodes[-1].shape[1]
    if any(is_zero(node) for node in nodes):
        return zero(shape)
    coefficient, above, below, bodies = bare(nodes)
    chain: list[Mat] = []
    for body in bodies:
        chain += body.args if body.op == "matmul" else [body]
    kept = [node for node in chain if node.op != "identity"] or chain[:1]
    body = kept[0] if len(kept) == 1 else Mat("matmul", tuple(kept), None, shape)
    if shape == SCALAR:
        back = Mat("matmul", tuple(transpose(node) for node in reversed(kept)), None, shape)
        return scale(coefficient, [*above, min(body, back, key=weight)], below)
    return scale(coefficient, above, below, body)


def diag(vector: Mat) -> Mat:
    """The diagonal matrix of a vector."""
    coefficient, above, below, body = parts(vector)
    assert body is not None
    shape = (body.shape[0], body.shape[0])
    if is_zero(body):
        return zero(shape)
    inner = Mat("identity", (), None, shape)
    if body.op != "ones":
        inner = Mat("diag", (body,), None, shape)
    return scale(coefficient, above, below, inner)


def norm(node: Mat, degree: int) -> Mat:
    return Mat("norm", (node,), degree)


def power(base: Mat, exponent: Mat, shape: tuple[str, str]) -> Mat:
    """A power entry by entry; the root of the square of a norm is the norm."""
    if base.op == "pow" and base.args[0].op == "norm" and exponent.op == "number":
        product = base.args[1].data * exponent.data
        return base.args[0] if product == 1 else power(base.args[0], number(product), shape)
    return Mat("pow", (base, exponent), None, shape)
