"""Every message about bad input: it names the argument, what it got and what it needs."""

import numpy as np
import pytest
import torch

from genoattn.attention import FactoredTable, HyperAttention, HyperFeatureAttention, LinearSelfAttention


def nan_at(position):
    x = torch.ones(2, 4, 3)
    x[position] = float("nan")
    return x


MASK = torch.ones(2, 4, dtype=torch.bool)
EMPTY = torch.tensor([[True] * 4, [False] * 4])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearSelfAttention(0, 1), "d_in: got 0, needs an integer of at least 1"),
        (lambda: LinearSelfAttention(3, 1.5), "d_out: got 1.5, needs an integer of at least 1"),
        (lambda: LinearSelfAttention(3, 1, 0), "n_heads: got 0, needs an integer of at least 1"),
        (
            lambda: LinearSelfAttention(3, 1, kernel="rbf"),
            "kernel: got 'rbf', needs one of 'linear', 'softmax'",
        ),
        (lambda: HyperAttention(3, 1, order=1), "order: got 1, needs an integer of at least 2"),
        (lambda: HyperAttention(3, 1, order=True), "order: got True, needs an integer"),
        (lambda: HyperAttention(3, 1, rank=0), "rank: got 0, needs an integer of at least 1"),
        (lambda: HyperFeatureAttention((), 1), "d_features: got no feature, needs the width of at least one"),
        (
            lambda: HyperFeatureAttention((2, 0), 1),
            r"d_features\[1\]: got 0, needs an integer of at least 1",
        ),
    ],
)
def test_constructor(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", [LinearSelfAttention, HyperAttention])
@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        (torch.ones(4, 3), None, r"x: got shape \(4, 3\), needs \(batch, entity, 3\)"),
        (torch.ones(2, 4, 5), None, r"x: got shape \(2, 4, 5\), needs \(batch, entity, 3\)"),
        (np.ones((2, 4, 3)), None, r"x: got ndarray, needs a torch.Tensor of shape \(batch, entity, 3\)"),
        (torch.ones(2, 4, 3).long(), None, "x: got dtype torch.int64, needs a floating-point tensor"),
        (torch.ones(0, 4, 3), None, r"x: got shape \(0, 4, 3\), needs at least one sample and one entity"),
        (nan_at((1, 2, 0)), None, r"x: got nan at \[1, 2, 0\], needs finite values; mask the entities"),
        (torch.full((2, 4, 3), torch.inf), MASK, r"x: got inf at \[0, 0, 0\], needs finite values"),
        (
            torch.ones(2, 4, 3),
            EMPTY,
            "mask: got no present entity in sample 1, needs one or more in every sample",
        ),
        (
            torch.ones(2, 4, 3),
            MASK.float(),
            r"mask: got torch.float32 \(2, 4\), needs a torch.bool tensor of shape",
        ),
        (torch.ones(2, 4, 3), MASK[:, :3], r"mask: got torch.bool \(2, 3\), needs a torch.bool .* \(2, 4\)"),
        (torch.ones(2, 4, 3), [True], "mask: got list, needs a torch.bool tensor"),
    ],
)
def test_forward(make, x, mask, message):
    with pytest.raises(ValueError, match=message):
        make(3, 1)(x, mask)


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (HyperAttention(3, 1, order=4), torch.ones(1, 3, 3)),
        (HyperAttention(3, 1, order=4, kernel="softmax"), torch.ones(1, 3, 3)),
    ],
)
def test_more_arguments_than_entities(module, x):
    with pytest.raises(ValueError, match="order: got 4, needs at most the number of entities, here 3"):
        module(x)


def test_pair_needs_two_entities():
    for module, x in [
        (LinearSelfAttention(3, 1, distinct=True), torch.ones(1, 1, 3)),
        (HyperFeatureAttention((3,), 1, distinct=True), [torch.ones(1, 1, 3)]),
    ]:
        with pytest.raises(ValueError, match="order: got 2, needs at most the number of entities, here 1"):
            module(x)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.ones(2, 4, 5), "features: got one tensor, needs a list of 2, one a feature"),
        ([torch.ones(2, 4, 2)], "features: got 1 tensors, needs a list of 2, one a feature"),
        (
            [torch.ones(2, 4, 2), torch.ones(2, 4, 2)],
            r"features\[1\]: got shape \(2, 4, 2\), needs .*entity, 3\)",
        ),
        (
            [torch.ones(2, 4, 2), torch.ones(2, 5, 3)],
            r"features\[1\]: got shape \(2, 5, 3\), needs the samples and .* features\[0\], \(2, 4\)",
        ),
        (
            [torch.ones(2, 4, 2), nan_at((0, 3, 1))],
            r"features\[1\]: got nan at \[0, 3, 1\], needs finite values",
        ),
    ],
)
def test_features(features, message):
    with pytest.raises(ValueError, match=message):
        HyperFeatureAttention((2, 3), 1)(features)


def test_softmax_names_the_memory_it_needs():
    module = HyperAttention(2, 1, kernel="softmax")
    # 4 tensors of 2000^3 float32 numbers: 4 * 4 * 8e9 bytes = 119.2 GiB.
    with pytest.raises(ValueError, match=r"x: got scores of shape .*, which need 119.2 GiB .* max_gib=4"):
        module(torch.ones(1, 2000, 2))
    linear = LinearSelfAttention(2, 1, kernel="softmax", max_gib=1e-6)
    with pytest.raises(ValueError, match=r"x: got scores of shape \(1, 1, 20, 20\).*use fewer entities"):
        linear(torch.ones(1, 20, 2))
    feature = HyperFeatureAttention((2,), 1, kernel="softmax", max_gib=1e-6)
    with pytest.raises(ValueError, match=r"features: got scores of shape \(1, 1, 20, 20\)"):
        feature([torch.ones(1, 20, 2)])


@pytest.mark.parametrize(
    ("f", "w", "embedding", "message"),
    [
        (
            torch.ones(3, 2),
            torch.ones(3, 1),
            None,
            r"f: got shape \(3, 2\), needs finite .* \(token, token\)",
        ),
        (torch.eye(3) * torch.nan, torch.ones(3, 1), None, "f: got shape .* needs finite values"),
        (
            torch.eye(3),
            torch.ones(2, 1),
            None,
            r"w: got shape \(2, 1\), needs finite values of shape \(3, d_out\)",
        ),
        (
            torch.eye(3),
            torch.ones(3, 1),
            torch.ones(3, 3),
            r"embedding: got shape \(3, 3\), needs an invertible",
        ),
    ],
)
def test_from_interactions(f, w, embedding, message):
    with pytest.raises(ValueError, match=message):
        LinearSelfAttention.from_interactions(f, w, embedding)


def test_rank_of_from_interactions():
    with pytest.raises(ValueError, match="rank: got 0, needs an integer of at least 1"):
        LinearSelfAttention.from_interactions(torch.eye(3), torch.ones(3, 1), rank=0)


def a_table(site=(0, 0, 1, 1), distinct=True, order=2, n_tokens=4):
    return FactoredTable(tuple(np.ones((n_tokens, 1, 1)) for _ in range(order)), site, distinct)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: FactoredTable((np.ones((2, 1, 1)),)),
            "factors: got shapes .* needs two or more of one shape",
        ),
        (
            lambda: FactoredTable((np.ones((2, 1, 1)), np.full((2, 1, 1), np.nan))),
            "factors: got a value that is not",
        ),
        (lambda: a_table(site=(0, 1)), r"site: got shape \(2,\), needs an integer for each of 4 tokens"),
        (lambda: a_table(site=(0, 0, 2, 2)), "site: got numbers with gaps, needs every site from 0"),
        (
            lambda: a_table(distinct=False).gauge("zero-sum"),
            "gauge: got distinct=False, needs a module with distinct",
        ),
        (
            lambda: a_table().gauge("mean"),
            "gauge: got 'mean', needs one of 'reference', 'zero-sum', 'frequency'",
        ),
        (
            lambda: a_table().gauge("reference"),
            "reference: got nothing, needs the index of the reference token",
        ),
        (
            lambda: a_table().gauge("reference", reference=[0, 9]),
            r"reference: got \[0, 9\], needs token indices",
        ),
        (
            lambda: a_table().gauge("reference", reference=[0, 1]),
            "reference: got 2 tokens of site 0, needs one of",
        ),
        (lambda: a_table().gauge("frequency"), "frequency: got nothing, needs the frequency of each token"),
        (
            lambda: a_table().gauge("frequency", frequency=[1.0]),
            r"frequency: got shape \(1,\), needs 0 or more for",
        ),
        (lambda: a_table().gauge("frequency", frequency=[0.5, 0.5, 0.5, np.nan]), "frequency: got shape"),
        (
            lambda: a_table().gauge("frequency", frequency=[0.5, 0.5, 0.5, 0.4]),
            "frequency: got a sum of 0.9 at site 1",
        ),
        (lambda: a_table().coefficient([0]), "tokens: got 1, needs 2, one for each argument"),
        (
            lambda: a_table().readout([1.0, 2.0]),
            r"weights: got shape \(2,\), needs one for each of 1 channels",
        ),
        (
            lambda: a_table().gauge("zero-sum").component(3),
            "order: got 3, needs 1 to 2, the order of the table",
        ),
        (
            lambda: a_table().gauge("zero-sum").coefficient(0, 1),
            r"tokens: got \(0, 1\), needs 2 tokens at distinct",
        ),
        (
            lambda: a_table().gauge("zero-sum").component(2).coefficients([[0, 2, 3]]),
            r"tokens: got shape \(1, 3\), needs \(term, 2\)",
        ),
        (
            lambda: a_table().gauge("zero-sum").top_terms(1, 2, "size"),
            "by: got 'size', needs 'coefficient' or 'var",
        ),
        (
            lambda: a_table().gauge("reference", reference=[0, 2]).top_terms(1, 2, "variance"),
            r"by: got gauge 'reference', where nothing varies; needs gauge\('frequency'\)",
        ),
        (
            lambda: a_table().gauge("reference", reference=[0, 2]).variance_components(),
            "variance_components: got gauge 'reference', where nothing varies",
        ),
        (
            lambda: a_table(site=None, order=3, n_tokens=2000).dense(),
            r"dense: got 2000 tokens at order 3, which need 59.6 GiB, more than 1; use coefficient\(\)",
        ),
    ],
)
def test_table(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_mistakes_with_tables_and_dtypes():
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    for module in (HyperAttention(4, 1), LinearSelfAttention(4, 1)):
        with pytest.raises(ValueError, match=r"x: got dtype torch\.float64, needs torch\.float32"):
            module(x)
        with pytest.raises(ValueError, match=r"tokens: got ndarray, needs a torch\.Tensor of shape"):
            module.interaction_table(np.eye(4))
        with pytest.raises(ValueError, match=r"tokens: got shape \(3, 5\), needs a torch\.Tensor of shape"):
            module.interaction_table(torch.ones(3, 5))
        with pytest.raises(ValueError, match="tokens: got NaN or infinity, needs finite values"):
            module.interaction_table(torch.full((3, 4), torch.nan))
    features = HyperFeatureAttention((2, 3), 1)
    with pytest.raises(ValueError, match=r"features\[0\]: got dtype torch\.float64"):
        features([torch.ones(1, 2, 2, dtype=torch.float64), torch.ones(1, 2, 3)])
    with pytest.raises(ValueError, match="tokens: got 1 tensors, needs a list of 2, one a feature"):
        features.interaction_table([torch.ones(3, 2)])
    softmax = (HyperAttention(4, 1, kernel="softmax"), LinearSelfAttention(4, 1, kernel="softmax"))
    for module in softmax:
        with pytest.raises(ValueError, match="kernel: got 'softmax', needs 'linear': a normalised"):
            module.interaction_table(torch.eye(4))
    table = LinearSelfAttention(4, 1, distinct=True).interaction_table(torch.eye(4), site=[0, 0, 1, 1])
    for ask in (lambda: table.coefficient([0, -1]), lambda: table.gauge("zero-sum").coefficient(0, -1)):
        with pytest.raises(ValueError, match="tokens: got -1, needs indices from 0 to 3"):
            ask()
