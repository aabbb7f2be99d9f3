"""The reasoning that training learns from, where a person corrected a verdict and wrote none.

Three ways, tried in this order:

1. the guard's own rollouts that are stored with the prediction (`reasoning_from_rollouts`, when the gold label settles);
2. fresh rollouts of the production guard (`complete_targets`, in the inference worker);
3. a continuation of the guard with the gold verdict forced (same place), marked FORCED_LABEL.
"""

from annotation.models import Prediction
from guardapp.guard.parsing import parse

Labels = tuple[str | None, str | None]  # prompt, response


def reasoning_from_rollouts(prediction: Prediction, labels: Labels) -> tuple[str, ...] | None:
    """Steps of the first stored rollout that reached the gold labels, prompt and response both; None where none did."""
    for rollout in prediction.rollouts:
        if rollout["parsed"] and (rollout["prompt_label"], rollout["response_label"]) == labels:
            judgement = parse(rollout["completion"], response_expected=labels[1] is not None)
            if judgement is not None and judgement.steps:
                return judgement.steps
    return None
