from collections import defaultdict

import pytest

from guardapp.guard.measures.agreement import RatingsNotPaired, cohen_kappa, krippendorff_alpha
from tests.guard.reference_data import needs_reference_data, read_lines, reference


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        ("yyyynnnn", "yyyynnnn", 1.0),
        ("yyyynnnn", "yynnyynn", 0.0),
        ("yn", "ny", -1.0),
        # the textbook table 20, 5, 10, 15
        ("y" * 25 + "n" * 25, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15, 0.4),
        ("yyy", "yyy", None),
        ("", "", None),
    ],
)
def test_kappa(first: str, second: str, kappa: float | None) -> None:
    assert cohen_kappa(first, second) == (kappa if kappa is None else pytest.approx(kappa))


def test_kappa_needs_the_same_items() -> None:
    with pytest.raises(RatingsNotPaired, match="differ in length"):
        cohen_kappa("yn", "y")


def test_alpha_of_the_published_example() -> None:
    # Krippendorff 2011, four observers, twelve units, missing data: nominal alpha 0.743
    units = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    ("units", "alpha"), [([], None), (["y"], None), (["yy", "yy"], None), (["yy", "nn"], 1.0), (["yn", "yn"], -0.5)]
)
def test_alpha(units: list[str], alpha: float | None) -> None:
    assert krippendorff_alpha(units) == (alpha if alpha is None else pytest.approx(alpha))


@needs_reference_data
def test_agreement_of_real_annotators_is_reproduced() -> None:
    table = reference("agreement_open.json")
    hatecheck = _labels_by_item("hatecheck_annotations")
    alpha = krippendorff_alpha([list(labels.values()) for labels in hatecheck.values()])
    assert alpha == pytest.approx(table["hatecheck_annotations (open)"]["krippendorff_alpha_nominal"], abs=5e-5)
    xstest = _labels_by_item("xstest_completions_annotations")
    pairs = [(labels["annotation_1"], labels["annotation_2"]) for labels in xstest.values()]
    kappa = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
    assert kappa == pytest.approx(table["xstest_completions_annotations (open) 3 classes"]["cohen_kappa"], abs=5e-5)
    assert krippendorff_alpha(pairs) == pytest.approx(
        table["xstest_completions_annotations (open) alpha"]["krippendorff_alpha_nominal"], abs=5e-5
    )


def _labels_by_item(name: str) -> dict[str, dict[str, str]]:
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    for row in read_lines(f"annotations/{name}.jsonl.gz"):
        labels[row["id"]][row["annotator"]] = row["label"]
    return labels
