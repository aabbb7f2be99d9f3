"""The guard: checkpoint, devices and generation."""

from guardapp.env import Section
from guardapp.guard.engines.kinds import ENGINES
from guardapp.settings.places import BASE_DIR

read = Section("The guard")

GUARD_MODEL = read.text(
    "GUARD_MODEL",
    "",
    "local folder or hub id of a Qwen2.5-VL or Qwen3-VL checkpoint. Read once, when a new installation makes its first "
    "version; afterwards versions change by promotion",
    shown="`guardapp/starter`",
) or str(BASE_DIR / "guardapp" / "starter")
read.elsewhere("HF_HOME", "path", "as transformers has it", "only where `GUARD_MODEL` is a hub id")
read.elsewhere("HF_HUB_OFFLINE", "`0` or `1`", "as transformers has it", "only where `GUARD_MODEL` is a hub id")
DEVICE = read.choice("GUARDAPP_DEVICE", "auto", ["auto", "cpu", "cuda"], "`auto`: CUDA where there is one")
SHARED_DEVICE = read.text(
    "GUARDAPP_SHARED_DEVICE",
    "",
    "any name (`gpu0`) for the card that serving and training share: training borrows it, serving lets its guards go "
    "meanwhile",
    shown="empty: each has its own",
)
WORKER_THREADS = read.integer(
    "GUARDAPP_THREADS", 1, "torch threads of a worker and of a training job; `0` leaves it to torch"
)
MEDIA_PRESET = read.text(
    "GUARDAPP_MEDIA_PRESET",
    "starter",
    "how media becomes frames: `starter`, `omni-148k`, `omni-181k` or `vl`; use the one that the checkpoint was "
    "trained with",
)
MAX_NEW_TOKENS = read.integer(
    "GUARDAPP_MAX_NEW_TOKENS",
    256,
    "longest completion, in tokens; released GuardReasoner checkpoints want 4096",
    minimum=16,
)
ROLLOUTS = read.integer(
    "GUARDAPP_ROLLOUTS",
    4,
    "sampled completions beside the greedy one, for disagreement and target reasoning; `0` for none",
)
VLLM_URLS = read.words(
    "GUARDAPP_VLLM_URLS",
    "",
    "addresses of `vllm serve` that hold it; see [deploy.md](deploy.md#vllm)",
    shown="empty: workers load the guard themselves",
)
VLLM_KEY = read.text("GUARDAPP_VLLM_KEY", "", "their `--api-key`")
VLLM_STRUCTURED = read.boolean("GUARDAPP_VLLM_STRUCTURED", False, "`1`: the servers write only what parses")
EVALUATION_ENGINE = read.choice(
    "GUARDAPP_EVALUATION_ENGINE",
    "transformers",
    [kind.name for kind in ENGINES.values() if not kind.remote],
    "`vllm`: evaluations run in vLLM's own process, where the training worker has vLLM installed",
)
