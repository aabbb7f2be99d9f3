"""Make a CUDA-built torchvision importable with a CPU-only torch.

The torchvision wheel declares its operators in a CUDA library. With a CPU torch that library does not load and `import
torchvision` raises `operator torchvision::nms does not exist`; transformers' image and video processors, and trl, then
fail with misleading errors. Declaring the two schemas is enough for what the guard needs (resizing and normalising);
the box operators remain unusable.

Import this module before transformers. With a native torchvision, `ensure_torchvision()` does nothing.

This module also keeps transformers from importing scikit-learn. Only assisted generation would use it, and loading it
takes a quarter of the CPU time that a process needs before its model is ready.
"""

import importlib
import importlib.util
import sys
from typing import Any, Literal

import torch
import transformers.utils

_BOX_OPERATORS = ("nms", "qnms")
# the library must stay referenced, or its schemas are dropped
_declared: list[Any] = []


def ensure_torchvision() -> Literal["native", "shim", "absent"]:
    """Import torchvision and return how it is available. Raises RuntimeError for any other import failure."""
    if importlib.util.find_spec("torchvision") is None:
        return "absent"
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return "shim" if _declared else "native"
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in _BOX_OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    importlib.import_module("torchvision")
    return "shim"


def leave_out_scikit_learn() -> None:
    transformers.utils.is_sklearn_available = lambda: False


ensure_torchvision()
leave_out_scikit_learn()
