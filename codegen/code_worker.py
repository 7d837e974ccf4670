"""Runs a user's function in a process of its own; started by codegen.code_process, by path.

It reads one JSON object a line on standard input and writes one on what was standard output.
The user's code may print: its own standard output goes nowhere.  Nothing of ours is imported,
so that the names of our modules do not shadow the user's.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST = 300


def main(target: str) -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    warnings.simplefilter("ignore")

    def answer(data: dict[str, Any]) -> None:
        answers.write(json.dumps(data) + "\n")
        answers.flush()

    first = json.loads(requests.readline())
    function, data = open_function(target, first["required"], first["optional"])
    answer(data)
    for line in requests:
        assert function is not None
        answer(call(function, json.loads(line)))


def open_function(
    target: str, required: list[str], optional: list[str]
) -> tuple[Callable[..., Any] | None, dict[str, Any]]:
    """The function, and the names it takes or what is wrong with it, in one sentence."""
    where, _, path = target.rpartition(":")
    try:
        found: Any = load_module(where)
        for name in path.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        if error.name is not None and (where == error.name or where.startswith(f"{error.name}.")):
            return None, {"error": f"there is no module '{where}' here or on Python's path"}
        return None, {"error": f"importing {where} raises {said(error)}"}
    except AttributeError as error:
        if error.obj is not None and error.name in path.split("."):
            return None, {"error": f"{where} has no '{error.name}'"}
        return None, {"error": f"importing {where} raises {said(error)}"}
    except BaseException as error:
        return None, {"error": f"importing {where} raises {said(error)}"}
    if not callable(found):
        return None, {"error": f"{target} is of type {type(found).__name__}, not a function"}
    return accepted(found, target, required, optional)


def load_module(where: str) -> Any:
    """A module by its dotted name, or by the path of its file."""
    if not where.endswith(".py"):
        return importlib.import_module(where)
    file = Path(where)
    if not file.is_file():
        raise ModuleNotFoundError(name=where)
    sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def accepted(
    function: Callable[..., Any], target: str, required: list[str], optional: list[str]
) -> tuple[Callable[..., Any] | None, dict[str, Any]]:
    """Which of the names the function takes by keyword; it must take the required ones."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function, {"names": [*required, *optional]}
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    anything = inspect.Parameter.VAR_KEYWORD in kinds.values()
    hidden = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    named = [name for name, kind in kinds.items() if kind not in hidden]
    takes = [name for name in (*required, *optional) if anything or name in named]
    try:
        signature.bind(**dict.fromkeys([*required, *(n for n in takes if n in optional)]))
    except TypeError as error:
        wanted = ", ".join(required)
        reason = f"{target}{signature} cannot be called by keyword with {wanted}: {error}"
        return None, {"error": reason}
    return function, {"names": takes}


def call(function: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
    """One call: the array, or what came instead of one, in a few words."""
    import numpy as np

    arguments = {name: decode(value) for name, value in request["arguments"].items()}
    before = {name: array.tobytes() for name, array in arguments.items()}
    try:
        with np.errstate(all="ignore"):
            result = function(**arguments)
            array = np.asarray(None if isinstance(result, tuple | dict) else result)
    except BaseException as error:
        return {"failed": f"raises {said(error)}"}
    if array.dtype.kind not in "fiub":
        kind = f"an array of {array.dtype}" if hasattr(result, "dtype") else type(result).__name__
        return {"failed": f"returns {kind}, expected an array of floats"}
    if list(array.shape) != request["shape"]:
        expected = tuple(request["shape"])
        return {"failed": f"returns shape {array.shape}, expected {expected}", "shape": True}
    changed = [name for name, old in before.items() if arguments[name].tobytes() != old]
    dtype = str(array.dtype)
    return {"array": encode(array.astype(np.float64)), "changed": changed, "dtype": dtype}


def encode(array: Any) -> dict[str, Any]:
    """An array as JSON data."""
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def decode(data: dict[str, Any]) -> Any:
    """An array from JSON data: numbers only."""
    import numpy as np

    flat = np.frombuffer(base64.b64decode(data["data"]), dtype=np.dtype(data["dtype"]))
    return flat.reshape(data["shape"]).copy()


def said(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    shown = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())
    main(sys.argv[1])
