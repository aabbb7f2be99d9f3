"""The guard: checkpoint, devices and generation."""

from django.core.exceptions import ImproperlyConfigured

from guardapp.env import Section
from guardapp.guard.engines.kinds import ENGINES
from guardapp.settings.places import BASE_DIR

read = Section("The guard")

GUARD_MODEL = read.text(
    "GUARD_MODEL",
    "",
    "local folder or hub id of a Qwen2.5-VL or Qwen3-VL checkpoint. Read once, when a new installation creates its "
    "first version; afterwards, versions change by promotion",
    shown="`guardapp/starter`",
) or str(BASE_DIR / "guardapp" / "starter")
read.elsewhere("HF_HOME", "path", "that of transformers", "only used if `GUARD_MODEL` is a hub id")
read.elsewhere("HF_HUB_OFFLINE", "`0` or `1`", "that of transformers", "only used if `GUARD_MODEL` is a hub id")
DEVICE = read.choice("GUARDAPP_DEVICE", "auto", ["auto", "cpu", "cuda"], "`auto`: CUDA if available")
SHARED_DEVICE = read.text(
    "GUARDAPP_SHARED_DEVICE",
    "",
    "any name (such as `gpu0`) for the GPU that serving and training share: serving unloads its guards while "
    "training runs",
    shown="empty: each has its own device",
)
WORKER_THREADS = read.integer(
    "GUARDAPP_THREADS", 1, "torch threads per worker and training job; `0` for torch's default"
)
MEDIA_PRESET = read.text(
    "GUARDAPP_MEDIA_PRESET",
    "starter",
    "how media become frames: `starter`, `omni-148k`, `omni-181k` or `vl`; use the one with which the checkpoint was "
    "trained",
)
MAX_NEW_TOKENS = read.integer(
    "GUARDAPP_MAX_NEW_TOKENS",
    256,
    "limit on a completion in tokens; released GuardReasoner checkpoints need 4096",
    minimum=16,
)
CONTEXT_TOKENS = read.integer(
    "GUARDAPP_CONTEXT_TOKENS",
    0,
    "most tokens of prompt and completion that the guard reads at once, where the model's own context is larger than "
    "the memory allows; `0`: the model's own. Longer content is judged in windows",
)
WINDOWS = read.integer(
    "GUARDAPP_WINDOWS",
    4,
    "windows in which content beyond the guard's context is judged, at most; what needs more goes to people, marked "
    "too long for the guard; `1` for no windows",
    minimum=1,
)
WINDOW_OVERLAP = read.integer(
    "GUARDAPP_WINDOW_OVERLAP", 128, "tokens that neighbouring windows share, at most a quarter of a window"
)
ROLLOUTS = read.integer(
    "GUARDAPP_ROLLOUTS",
    4,
    "sampled completions besides the greedy one, for the probability of harm, disagreement and target reasoning; "
    "`0` for none",
)
VLLM_URLS = read.words(
    "GUARDAPP_VLLM_URLS",
    "",
    "addresses of `vllm serve` servers of the guard; see [deploy.md](deploy.md#vllm)",
    shown="empty: workers load the guard themselves",
)
TRAINING_SERVERS = read.named(
    "GUARDAPP_TRAINING_SERVERS",
    "addresses of servers that a mining or GRPO run may ask, by the name that the run gives as `server`; one name may "
    "have several",
)
for _name, _addresses in TRAINING_SERVERS.items():
    if not all(_address.startswith(("http://", "https://")) for _address in _addresses):
        raise ImproperlyConfigured(f"GUARDAPP_TRAINING_SERVERS: {_name} is not http:// or https:// and a host.")
TRAINING_MACHINES = read.named(
    "GUARDAPP_TRAINING_MACHINES",
    "`HOST:PORT` of the first machine of a run on several, by the name that its launch gives as `main`",
)
VLLM_KEY = read.text("GUARDAPP_VLLM_KEY", "", "their API key (`--api-key`)")
VLLM_STRUCTURED = read.boolean("GUARDAPP_VLLM_STRUCTURED", False, "`1`: the servers restrict the output to what parses")
EVALUATION_ENGINE = read.choice(
    "GUARDAPP_EVALUATION_ENGINE",
    "transformers",
    [kind.name for kind in ENGINES.values() if not kind.remote],
    "`vllm`: evaluations use vLLM in the job's process; requires vLLM where the training worker runs",
)
