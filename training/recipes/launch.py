"""Processes of a run and how they share the model: RUN_DIR/accelerate.yaml. Needs neither Django nor torch.

| strategy | each process keeps | needs |
|---|---|---|
| `none` | one process | |
| `ddp` | everything; gradients are averaged | GPUs, or CPU cores with gloo |
| `fsdp` | a shard of weights, gradients and moments (FSDP 2) | GPUs |
| `zero2`/`zero3` | a shard of gradients and moments / also of weights (DeepSpeed ZeRO) | GPUs, the deepspeed package |
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from training.contract import ACCELERATE

STRATEGIES = ("none", "ddp", "fsdp", "zero2", "zero3")
SHARDED = ("fsdp", "zero3")  # no process holds the whole model
MAX_PROCESSES = 4096
GONE = ("main_address", "main_port")  # settings of earlier releases
# FSDP's wrapping unit. The vision tower stays in the root unit, since batches without media never reach its layers.
DECODER_LAYERS = {"qwen3_vl": "Qwen3VLTextDecoderLayer", "qwen2_5_vl": "Qwen2_5_VLDecoderLayer"}


class LaunchNotUsable(ValueError):
    """The processes of a run cannot be launched like this; the message names the field and the fix."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a job is launched. `processes` is the total over all machines. Raises LaunchNotUsable."""

    processes: int = 1
    strategy: str = "none"
    machines: int = 1
    machine_rank: int = 0
    main: str = ""  # of several machines, the first: one of the names in GUARDAPP_TRAINING_MACHINES

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, field.type) or isinstance(value, bool):  # type: ignore[arg-type]
                raise LaunchNotUsable(
                    f"{field.name}={value!r} is not a {'text' if field.type is str else 'whole number'}."
                )
        if self.strategy not in STRATEGIES:
            raise LaunchNotUsable(f"strategy={self.strategy!r} is not one of {', '.join(STRATEGIES)}.")
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise LaunchNotUsable(f"processes={self.processes} is not from 1 to {MAX_PROCESSES}.")
        if (self.strategy == "none") != (self.processes == 1 and self.machines == 1):
            raise LaunchNotUsable(
                f"strategy={self.strategy!r} with processes={self.processes}: one process has strategy none, "
                "and several have ddp, fsdp, zero2 or zero3."
            )
        self._check_machines()

    def _check_machines(self) -> None:
        if self.machines < 1 or self.processes % self.machines:
            raise LaunchNotUsable(
                f"machines={self.machines} does not divide processes={self.processes}: each has as many processes."
            )
        if not 0 <= self.machine_rank < self.machines:
            raise LaunchNotUsable(f"machine_rank={self.machine_rank} is not from 0 to {self.machines - 1}.")
        if self.machines > 1 and not self.main:
            raise LaunchNotUsable("main is empty: several machines need the name of the first one.")


def launch_from(value: Mapping[str, Any]) -> Launch:
    """Read a run's `launch` JSON; an empty one means one process. Raises LaunchNotUsable."""
    known = [field.name for field in fields(Launch)]
    for name in value:
        if name in GONE:
            raise LaunchNotUsable(
                f"{name} is not a setting of a launch. An address is never one: name the machine in "
                "GUARDAPP_TRAINING_MACHINES, and give main=NAME."
            )
        if name not in known:
            raise LaunchNotUsable(f"{name} is not a setting of a launch. Known: {', '.join(known)}.")
    return Launch(**value)


def check_launch(launch: Launch, config: Mapping[str, Any], *, gpus: int) -> None:
    """Check that a job with this config can be launched on a machine with `gpus` GPUs. Raises LaunchNotUsable."""
    if launch.strategy == "none":
        return
    if "base_model" not in config:
        raise LaunchNotUsable(
            f"strategy={launch.strategy!r}: only training runs can have several processes, not a mining."
        )
    here = launch.processes // launch.machines
    if launch.strategy != "ddp" and not gpus:
        raise LaunchNotUsable(
            f"strategy={launch.strategy!r} needs GPUs, and this machine has none: choose ddp, or none."
        )
    if gpus and here > gpus:
        raise LaunchNotUsable(
            f"processes={launch.processes} on {launch.machines} machine(s), but this one has {gpus} GPU(s)."
        )
    if launch.strategy in SHARDED and config.get("packing"):
        raise LaunchNotUsable(
            f"strategy={launch.strategy!r} with packing: it needs media in each batch: turn packing off."
        )
    if launch.strategy in SHARDED and config.get("lora_rank"):
        raise LaunchNotUsable(
            f"strategy={launch.strategy!r} with lora_rank={config['lora_rank']}: an adapter cannot be merged into "
            "a sharded model: choose ddp or zero2."
        )


def gpus_here() -> int:
    """Count this machine's NVIDIA devices without loading torch."""
    return sum(1 for device in Path("/dev").glob("nvidia*") if device.name.removeprefix("nvidia").isdecimal())


def main_process(launch: Launch, machines: Mapping[str, Sequence[str]]) -> tuple[str, int]:
    """Address and port of the first of several machines; ("", 0) on one, whose processes meet at a free port of it.

    `machines` are the operator's, "host:port" by name. Raises LaunchNotUsable.
    """
    if launch.machines == 1:
        return "", 0
    host, _, port = next(iter(machines.get(launch.main, ())), "").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
        known = ", ".join(machines) or "none"
        raise LaunchNotUsable(
            f"main={launch.main!r} is not a machine of GUARDAPP_TRAINING_MACHINES (NAME=HOST:PORT). Known: {known}."
        )
    return host, int(port)


def write_launch(
    run_dir: Path,
    launch: Launch,
    config: Mapping[str, Any],
    *,
    gpus: int,
    machines: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write RUN_DIR/accelerate.yaml, or remove it if one process is enough. Raises LaunchNotUsable."""
    check_launch(launch, config, gpus=gpus)
    main = main_process(launch, machines)
    path = run_dir / ACCELERATE
    if launch.strategy == "none":
        path.unlink(missing_ok=True)
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(as_yaml(accelerate_config(launch, config, gpus=gpus, main=main)))


def accelerate_config(
    launch: Launch, config: Mapping[str, Any], *, gpus: int, main: tuple[str, int] = ("", 0)
) -> dict[str, Any]:
    """The file for `accelerate launch --config_file` (accelerate 1.15, ClusterConfig). `main`: see main_process."""
    values: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        # Also for CPUs: this is the only launcher of accelerate that starts several processes without MPI; the job
        # itself selects the CPU.
        "distributed_type": {"fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}.get(
            launch.strategy, "MULTI_GPU"
        ),
        "use_cpu": not gpus,
        "debug": False,
        "mixed_precision": "bf16" if config.get("bf16") else "no",
        "num_processes": launch.processes,
        "num_machines": launch.machines,
        "machine_rank": launch.machine_rank,
        "rdzv_backend": "static",
        "same_network": True,
        "main_training_function": "main",
        "main_process_port": main[1],
    }
    if main[0]:
        values["main_process_ip"] = main[0]
    if launch.strategy == "fsdp":
        values["fsdp_config"] = _fsdp(config)
    elif launch.strategy in ("zero2", "zero3"):
        values["deepspeed_config"] = _deepspeed(launch, config)
    return values


def _fsdp(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "fsdp_version": 2,
        "fsdp_reshard_after_forward": True,
        "fsdp_offload_params": False,
        "fsdp_cpu_ram_efficient_loading": False,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_transformer_layer_cls_to_wrap": DECODER_LAYERS[_family(config)],
        "fsdp_state_dict_type": "FULL_STATE_DICT",
        "fsdp_activation_checkpointing": False,
    }


def _family(config: Mapping[str, Any]) -> str:
    """The model family of the base checkpoint. Raises LaunchNotUsable if it cannot be determined."""
    path = Path(str(config.get("base_model", ""))) / "config.json"
    try:
        family = str(json.loads(path.read_text()).get("model_type"))
    except (OSError, ValueError):
        family = "unknown"
    if family not in DECODER_LAYERS:
        raise LaunchNotUsable(
            f"base_model: {path} does not name a family that fsdp supports ({', '.join(DECODER_LAYERS)})."
        )
    return family


def _deepspeed(launch: Launch, config: Mapping[str, Any]) -> dict[str, Any]:
    stage = int(launch.strategy[-1])
    return {
        "zero_stage": stage,
        "gradient_accumulation_steps": config.get("gradient_accumulation", 1),
        "gradient_clipping": config.get("max_grad_norm", 1.0),
        "offload_optimizer_device": "none",
        "offload_param_device": "none",
        "zero3_init_flag": False,
        **({"zero3_save_16bit_model": True} if stage == 3 else {}),
    }


def as_yaml(values: Mapping[str, Any], indent: str = "") -> str:
    """Write nested mappings of plain values as YAML, with quoted strings."""
    lines = []
    for name, value in values.items():
        lines.append(
            f"{indent}{name}:\n{as_yaml(value, indent + '  ')}"
            if isinstance(value, Mapping)
            else f"{indent}{name}: {json.dumps(value)}\n"
        )
    return "".join(lines)
