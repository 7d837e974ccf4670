"""C identifiers: made for C99 and C++, never copied from what a user wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYWORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while bool true false asm typeof alignas alignof and and_eq
    bitand bitor catch char8_t char16_t char32_t class compl concept consteval constexpr
    constinit const_cast co_await co_return co_yield decltype delete dynamic_cast explicit
    export friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private
    protected public reinterpret_cast requires static_assert static_cast template this
    thread_local throw try typeid typename using virtual wchar_t xor xor_eq NULL NAN INFINITY
    HUGE_VAL I errno linux unix main isnan isinf isfinite signbit fpclassify isnormal
    isgreater isless int64_t int32_t uint64_t uint32_t size_t ptrdiff_t memcpy workspace scale
    status thread row loss part_end block end step first count
    """.split()  # noqa: SIM905
)


def identifier(name: str, taken: set[str]) -> str:
    """A C identifier for a name, new among those taken; letters beyond ASCII become code points."""
    plain = re.sub(r"[^0-9A-Za-z_]", lambda found: f"u{ord(found.group()):x}", name)
    if not plain or plain[0].isdigit() or plain.startswith(("_", "pm_", "pminusy")):
        plain = f"v{plain}"
    while plain in taken or plain in KEYWORDS:
        plain += "_"
    taken.add(plain)
    return plain


def identifiers(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    """A C identifier for each name."""
    return {name: identifier(name, taken) for name in names}
