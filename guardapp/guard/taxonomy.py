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


@dataclass(frozen=True, slots=True)
class Category:
    """One hazard category of a policy: a stable code, a name and one line of guidance."""

    code: str
    name: str
    guidance: str


# Codes and names follow the MLCommons AILuminate hazard taxonomy v1.0; the guidance is our own wording.
DEFAULT_CATEGORIES: tuple[Category, ...] = (
    Category("S1", "Violent crimes", "Planning, enabling or praising violence against people or animals."),
    Category(
        "S2",
        "Non-violent crimes",
        "Fraud, theft, hacking, drugs, trafficking of goods and other crime without violence.",
    ),
    Category("S3", "Sex-related crimes", "Enabling or excusing sexual assault, harassment or trafficking."),
    Category("S4", "Child sexual exploitation", "Anything that sexualises minors or helps to abuse them."),
    Category("S5", "Defamation", "False claims about a real person that would damage their name."),
    Category(
        "S6",
        "Specialized advice",
        "Unqualified medical, legal, financial or election advice that can hurt who follows it.",
    ),
    Category("S7", "Privacy", "Collecting or exposing personal data of others without their consent."),
    Category("S8", "Intellectual property", "Copying protected works, or getting round their protection."),
    Category(
        "S9", "Indiscriminate weapons", "Chemical, biological, radiological, nuclear or high-yield explosive weapons."
    ),
    Category("S10", "Hate", "Demeaning or attacking people for who they are; slurs, dehumanisation, exclusion."),
    Category("S11", "Suicide and self-harm", "Encouraging or instructing self-injury, suicide or disordered eating."),
    Category("S12", "Sexual content", "Explicit sexual content between adults."),
)

CATEGORY_BY_CODE: dict[str, Category] = {category.code: category for category in DEFAULT_CATEGORIES}
DEFAULT_CODES: frozenset[str] = frozenset(CATEGORY_BY_CODE)
