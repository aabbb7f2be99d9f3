"""What the processes of a job tell each other, as JSON.

torch.distributed sends Python objects as pickles, and reading a pickle runs what its sender wants. `send_plain_objects`
puts JSON in its place, for TRL, accelerate and this product alike. Besides JSON's own values it knows tuples, bytes,
tensors, PIL images, and keys that are not texts; all else is refused.
"""

import base64
import io
import json
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load, save
from torch.distributed import distributed_c10d

KIND = "$kind"
# more than this from one process is a mistake: whole batches are some megabytes
LARGEST = 1 << 30


class NotPlain(TypeError):
    """This object is not sent between processes."""


def send_plain_objects() -> None:
    """Make all object collectives of torch.distributed send JSON. Before the first of them, in every process."""
    distributed_c10d._object_to_tensor = _object_to_tensor
    distributed_c10d._tensor_to_object = _tensor_to_object


def encoded(value: Any) -> bytes:
    """Raises NotPlain."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> Any:
    """The value of `encoded`. Raises NotPlain for anything else."""
    try:
        return _value(json.loads(data.decode("utf-8", "surrogatepass")))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotPlain(f"This is not what another process of the job sends: {type(error).__name__}.") from error


def _object_to_tensor(value: Any, device: Any, group: Any) -> tuple[torch.Tensor, torch.Tensor]:
    data = encoded(value)
    return (
        # a copy: torch resizes it to the longest of all processes
        torch.frombuffer(bytearray(data), dtype=torch.uint8).clone().to(device),
        torch.tensor([len(data)], dtype=torch.long).to(device),
    )


def _tensor_to_object(tensor: torch.Tensor, tensor_size: Any, group: Any) -> Any:
    size = int(tensor_size)
    if size > LARGEST:
        raise NotPlain(f"{size:,} bytes from one process are too many.")
    return decoded(tensor.cpu().numpy().tobytes()[:size])


def _plain(value: Any) -> Any:
    # exact types: a subclass would come back as something else
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [_plain(one) for one in value]
    if type(value) is dict:
        if KIND not in value and all(type(key) is str for key in value):
            return {key: _plain(one) for key, one in value.items()}
        return {KIND: "pairs", "of": [[_plain(key), _plain(one)] for key, one in value.items()]}
    if type(value) in (tuple, torch.Size):
        return {KIND: "tuple", "of": [_plain(one) for one in value]}
    if type(value) is bytes:
        return {KIND: "bytes", "of": _base64(value)}
    if isinstance(value, torch.Tensor):
        return {KIND: "tensor", "of": _base64(save({"one": value.detach().cpu().contiguous()}))}
    if isinstance(value, Image.Image):
        written = io.BytesIO()
        value.save(written, "PNG")
        return {KIND: "png", "of": _base64(written.getvalue())}
    raise NotPlain(f"{type(value).__name__} is not sent between processes: send plain values.")


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(one) for one in plain]
    if not isinstance(plain, dict):
        return plain
    if KIND not in plain:
        return {key: _value(one) for key, one in plain.items()}
    kind, given = plain[KIND], plain["of"]
    if kind == "pairs":
        return {_value(key): _value(one) for key, one in given}
    if kind == "tuple":
        return tuple(_value(one) for one in given)
    data = base64.b64decode(given, validate=True)
    if kind == "bytes":
        return data
    if kind == "tensor":
        return load(data)["one"]
    if kind == "png":
        picture = Image.open(io.BytesIO(data), formats=["PNG"])
        picture.load()
        return picture
    raise NotPlain(f"{kind!r} is no kind of object.")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
