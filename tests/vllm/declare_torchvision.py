"""Makes a CUDA-built torchvision importable beside a CPU torch in every process of an environment, vLLM's children
included.

Installed by `make test-vllm` into its environment, beside a .pth file that imports it. Nothing of torch is loaded
before somebody asks for torchvision; guardapp.guard.engines.hf.torchvision_shim does the same where our own programs
begin.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

_kept: list[object] = []


class Declarer(importlib.abc.MetaPathFinder):
    """Declares the two operators that the wheel's own library would, once, just before torchvision is found."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "torchvision" and not _kept:
            import torch

            if torch.version.cuda is None:
                library = torch.library.Library("torchvision", "DEF")
                for operator in ("nms", "qnms"):
                    library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                _kept.append(library)
        return None


sys.meta_path.insert(0, Declarer())
