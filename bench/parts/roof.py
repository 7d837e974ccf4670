"""What the machine allows: its own copy of the same bytes, or its own matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Arrays, Case

Work = Callable[[], tuple[Any, Any]]
Maker = Callable[[Case, Arrays, int], "Work | None"]

COPY = """
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
void copy(void *to, const void *from, int64_t bytes, int stream, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t at = 0; at < bytes; at += 1 << 20) {
        int64_t size = bytes - at < 1 << 20 ? bytes - at : 1 << 20;
        char *t = (char *)to + at;
        const char *f = (const char *)from + at;
#ifdef __SSE2__
        if (stream && ((uintptr_t)t & 15) == 0) {
            int64_t k = 0;
            for (; k + 16 <= size; k += 16)
                _mm_stream_si128((__m128i *)(t + k), _mm_loadu_si128((const __m128i *)(f + k)));
            t += k, f += k, size -= k;
        }
#endif
        memcpy(t, f, (size_t)size);
    }
}
"""


def copy(stream: bool) -> Maker:
    """The machine's own copy of the main array: its bytes read once and written once."""

    def make(case: Case, given: Arrays, threads: int) -> Work | None:
        if case.name == "linear":
            return None if stream else _products(given)
        import ctypes

        from codegen.compile import library

        call = ctypes.CDLL(str(library({"copy.c": COPY}, "copy"))).copy
        z = given[case.main]
        pairs = [(np.zeros_like(z), z)]
        if case.name == "bce":  # the targets are read and the losses written, too
            pairs.append((np.zeros_like(z), given["y"]))
        last = (ctypes.c_int64(z.nbytes), ctypes.c_int(stream), ctypes.c_int(threads))

        def work() -> tuple[Any, Any]:
            for pair in pairs:
                call(*(ctypes.c_void_p(x.ctypes.data) for x in pair), *last)
            return 0.0, 0.0

        return work

    return make


def _products(given: Arrays) -> Work:
    """The three matrix products of a linear layer, in chunks of rows."""
    x, weights = given["x"], given["W"]
    slope, total = np.zeros_like(x), np.zeros_like(weights)

    def work() -> tuple[Any, Any]:
        total.fill(0)
        for start in range(0, len(x), 512):
            rows = slice(start, start + 512)
            z = x[rows] @ weights.T
            np.matmul(z, weights, out=slope[rows])
            np.add(total, z.T @ x[rows], out=total)
        return 0.0, 0.0

    return work
