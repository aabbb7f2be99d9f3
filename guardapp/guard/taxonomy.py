"""The guard's vocabulary: labels, tasks, modalities and the default hazard categories."""

from dataclasses import dataclass
from enum import StrEnum


class Harmfulness(StrEnum):
    """The values of the prompt and response labels; "no label" is None."""

    HARMFUL = "harmful"
    UNHARMFUL = "unharmful"

    @property
    def opposite(self) -> "Harmfulness":
        return Harmfulness.UNHARMFUL if self is Harmfulness.HARMFUL else Harmfulness.HARMFUL


class Refusal(StrEnum):
    """The refusal label of the GuardReasoner v0 text models."""

    REFUSAL = "refusal"
    COMPLIANCE = "compliance"


class Task(StrEnum):
    """The labels that are scored. The positive class is harmful, or refusal for the refusal task."""

    PROMPT = "prompt_harmfulness"
    RESPONSE = "response_harmfulness"
    REFUSAL = "refusal"


class Modality(StrEnum):
    """What a sample contains. A video may come with prompt text; an image with text is text-image."""

    TEXT = "text"
    IMAGE = "image"
    TEXT_IMAGE = "text-image"
    VIDEO = "video"


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"


class OpenAICategory(StrEnum):
    """The categories of OpenAI's moderation endpoint, in the order of its documentation."""

    HARASSMENT = "harassment"
    HARASSMENT_THREATENING = "harassment/threatening"
    HATE = "hate"
    HATE_THREATENING = "hate/threatening"
    ILLICIT = "illicit"
    ILLICIT_VIOLENT = "illicit/violent"
    SELF_HARM = "self-harm"
    SELF_HARM_INSTRUCTIONS = "self-harm/instructions"
    SELF_HARM_INTENT = "self-harm/intent"
    SEXUAL = "sexual"
    SEXUAL_MINORS = "sexual/minors"
    VIOLENCE = "violence"
    VIOLENCE_GRAPHIC = "violence/graphic"


# A category's code must be none of these, in any case: they are labels, keys beside the codes in scores and answers, or
# words of the output grammar. "and" joins codes in a step, so it would never be read as one.
RESERVED_CODES: frozenset[str] = frozenset(
    {*Harmfulness, *Refusal, *Task, *OpenAICategory, *MediaKind}
    | {"none", "unparsed", "unnamed", "and", "prompt", "request", "response", "think", "result", "step", "all"}
)

LEAST_SEVERITY = 1  # of harmful content that names no category, or one that a lead added


@dataclass(frozen=True, slots=True)
class Category:
    """One built-in hazard category: a stable code, a name and one line of guidance.

    `severity` is 1 to 3 and orders the queues. `openai` is the category of OpenAI's moderation endpoint with the same
    meaning, or None.
    """

    code: str
    name: str
    severity: int
    openai: OpenAICategory | None
    guidance: str


# Codes and names follow the MLCommons AILuminate hazard taxonomy v1.0; the guidance is our own wording.
DEFAULT_CATEGORIES: tuple[Category, ...] = (
    Category(
        "S1",
        "Violent crimes",
        2,
        OpenAICategory.VIOLENCE,
        "Planning, enabling or praising violence against people or animals.",
    ),
    Category(
        "S2",
        "Non-violent crimes",
        1,
        OpenAICategory.ILLICIT,
        "Fraud, theft, hacking, drugs, trafficking of goods and other crime without violence.",
    ),
    Category(
        "S3",
        "Sex-related crimes",
        2,
        OpenAICategory.SEXUAL,
        "Enabling or excusing sexual assault, harassment or trafficking.",
    ),
    Category(
        "S4",
        "Child sexual exploitation",
        3,
        OpenAICategory.SEXUAL_MINORS,
        "Anything that sexualises minors or helps to abuse them.",
    ),
    Category("S5", "Defamation", 1, None, "False claims about a real person that would damage their name."),
    Category(
        "S6",
        "Specialized advice",
        1,
        None,
        "Unqualified medical, legal, financial or election advice that can hurt who follows it.",
    ),
    Category("S7", "Privacy", 1, None, "Collecting or exposing personal data of others without their consent."),
    Category("S8", "Intellectual property", 1, None, "Copying protected works, or getting round their protection."),
    Category(
        "S9",
        "Indiscriminate weapons",
        3,
        OpenAICategory.ILLICIT_VIOLENT,
        "Chemical, biological, radiological, nuclear or high-yield explosive weapons.",
    ),
    Category(
        "S10",
        "Hate",
        2,
        OpenAICategory.HATE,
        "Demeaning or attacking people for who they are; slurs, dehumanisation, exclusion.",
    ),
    Category(
        "S11",
        "Suicide and self-harm",
        3,
        OpenAICategory.SELF_HARM,
        "Encouraging or instructing self-injury, suicide or disordered eating.",
    ),
    Category("S12", "Sexual content", 1, OpenAICategory.SEXUAL, "Explicit sexual content between adults."),
)

CATEGORY_BY_CODE: dict[str, Category] = {category.code: category for category in DEFAULT_CATEGORIES}
DEFAULT_CODES: frozenset[str] = frozenset(CATEGORY_BY_CODE)


def severity_of_category(code: str) -> int:
    """The severity of a category, 1 to 3; categories added by a lead have the lowest."""
    category = CATEGORY_BY_CODE.get(code)
    return LEAST_SEVERITY if category is None else category.severity
