"""The experiments of Ustaomeroglu & Qu (arXiv 2506.06179): table lines, and what the plots need."""

from dataclasses import dataclass

import numpy as np
import torch
from environments import (
    DTYPE,
    World,
    colliding_agents,
    coupled_features,
    interacting_alleles,
    one_hot,
    sinusoidal,
    skip_trigrams,
)
from results import Line
from torch import Tensor, nn
from training import mse, start_as_in_the_paper, train

from genoattn.attention import HyperAttention, HyperFeatureAttention, LinearSelfAttention

EMBEDDINGS = {"one-hot": one_hot, "sinusoidal": sinusoidal}
TRAIN_LENGTH, TEST_LENGTHS = 20, (2, 3, 5, 8, 12, 16, 20, 24, 28, 32, 36, 40)
GOAL = 1e-9


@dataclass(frozen=True)
class Construction:
    lines: list[Line]
    interaction: dict[str, np.ndarray]  # C by embedding
    rank: np.ndarray
    error: np.ndarray  # spectral error of the best rank-d C
    bound: np.ndarray  # sigma_(d+1) of f


def exact_construction(seed: int = 0) -> Construction:
    """from_interactions: no error at d = |S|, the tail singular value below it (Theorems 3.1, B.2)."""
    generator = torch.Generator().manual_seed(seed)
    world = colliding_agents(360, 5)
    lines, interaction = [], {}
    for name, embed in EMBEDDINGS.items():
        embedding = embed(world.n_tokens)
        module = LinearSelfAttention.from_interactions(world.f, world.w, embedding)
        interaction[name] = module.interaction[0].detach().numpy()
        tokens = world.draw(50, 20, False, generator)
        error = (module(embedding[tokens]) - world.target(tokens)).abs().max().item()
        lines.append(
            Line("exact construction", f"agents, N=360, R=5, {name}", "max |error|", "0", error, "<= 1e-11")
        )
    f = torch.randn(60, 60, generator=generator, dtype=DTYPE)
    w = torch.randn(60, 3, generator=generator, dtype=DTYPE)
    singular = torch.linalg.svdvals(f)
    ranks = np.arange(1, 60)
    errors, tails = [], []
    for rank in ranks:
        module = LinearSelfAttention.from_interactions(f, w, rank=int(rank))
        left_over = f - module.interaction[0].detach()
        errors.append(torch.linalg.matrix_norm(left_over, 2).item())
        tails.append(
            torch.linalg.matrix_norm(left_over).item() / singular[rank:].square().sum().sqrt().item()
        )
    bound = singular[1:].numpy()
    lines += [
        Line(
            "best rank-d error",
            "random f, 60 tokens, d = 1 to 59",
            "max |spectral error / sigma_(d+1) - 1|",
            "0",
            float(np.abs(np.array(errors) / bound - 1).max()),
            "<= 1e-10",
        ),
        Line(
            "best rank-d error",
            "random f, 60 tokens, d = 1 to 59",
            "max |Frobenius error / tail - 1|",
            "0",
            float(np.abs(np.array(tails) - 1).max()),
            "<= 1e-10",
        ),
    ]
    return Construction(lines, interaction, ranks, np.array(errors), bound)


@dataclass(frozen=True)
class Trained:
    world: str
    embedding: str
    losses: list[float]
    by_length: dict[str, list[float]]  # MSE at each of TEST_LENGTHS, in and out of distribution
    designed: LinearSelfAttention
    learned: LinearSelfAttention
    tables: tuple[np.ndarray, np.ndarray]  # T of both


def train_linear(world: World, embedding_name: str, n_samples: int, seed: int) -> Trained:
    """Train from C(0) = 0 at one length; test at all, in the training distribution and a shifted one."""
    generator = torch.Generator().manual_seed(seed)
    embedding = EMBEDDINGS[embedding_name](world.n_tokens)
    module = LinearSelfAttention(world.n_tokens, world.w.shape[1], distinct=world.distinct, dtype=DTYPE)
    start_as_in_the_paper(module.value, embedding)
    tokens = world.draw(n_samples, TRAIN_LENGTH, False, generator)
    x, y = embedding[tokens], world.target(tokens)
    fit = train(module, lambda: module(x), y, 40, GOAL)
    by_length = {
        name: [_test(module, world, embedding, n, shifted, generator) for n in TEST_LENGTHS]
        for name, shifted in (("in distribution", False), ("shifted", True))
    }
    designed = LinearSelfAttention.from_interactions(world.f, world.w, embedding)
    tables = tuple(m.interaction_table(embedding).dense()[..., 0] for m in (designed, module))
    return Trained(
        world.name, embedding_name, fit.losses, by_length, designed, module, (tables[0], tables[1])
    )


@torch.no_grad()
def _test(
    module: nn.Module,
    world: World,
    embedding: Tensor,
    n_entities: int,
    shifted: bool,
    generator: torch.Generator,
) -> float:
    tokens = world.draw(500, n_entities, shifted, generator)
    return mse(module(embedding[tokens]), world.target(tokens)).item()


def training_and_generalisation(seed: int = 0) -> tuple[list[Line], list[Trained]]:
    """Both worlds, both embeddings (Theorems 4.4, 4.6, 4.8; Corollary 4.9)."""
    generator = torch.Generator().manual_seed(seed)
    worlds = [(colliding_agents(60, 5), 1000), (interacting_alleles(20, generator), 1200)]
    lines, runs = [], []
    at = TEST_LENGTHS.index(TRAIN_LENGTH)
    for world, n_samples in worlds:
        for name in EMBEDDINGS:
            run = train_linear(world, name, n_samples, seed)
            setting = f"{world.name}, {world.n_tokens} tokens, {name}"
            inside, shifted = run.by_length["in distribution"], run.by_length["shifted"]
            difference = (run.designed.interaction - run.learned.interaction).square().mean().item()
            lines += [
                Line("training", setting, "train MSE, L = 20", "-> 0", run.losses[-1], "<= 1e-7"),
                Line("training", setting, "test MSE, L = 20", "Theta(1e-7)", inside[at], "<= 1e-7"),
                Line(
                    "shifted distribution", setting, "test MSE, L = 20", "Theta(1e-7)", shifted[at], "<= 1e-7"
                ),
                Line(
                    "unseen lengths",
                    setting,
                    "worst test MSE, L = 2 to 40",
                    "Theta(1e-7)",
                    max(inside),
                    "<= 1e-7",
                ),
                Line("unseen lengths", setting, "the same, shifted", "", max(shifted), "<= 1e-7"),
                Line("same table", setting, "MSE between the two C", "differ", difference),
                Line(
                    "same table",
                    setting,
                    "MSE between the two T",
                    "O(1e-4)",
                    _table_mse(*run.tables),
                    "<= 1e-4",
                ),
            ]
            runs.append(run)
    return lines, runs


def _table_mse(designed: np.ndarray, learned: np.ndarray) -> float:
    return float(np.square(designed - learned).mean())


@dataclass(frozen=True)
class Comparison:
    """Models on one target: final test MSE of each, the variance of the target, and their learning curves."""

    name: str
    lines: list[Line]
    mse: dict[str, float]
    variance: float
    losses: dict[str, list[float]]


def coupled_feature_comparison(seed: int = 0) -> Comparison:
    """Features that multiply: HFA with d = 5 + 6 against self-attention of the same width (section 5.1)."""
    generator = torch.Generator().manual_seed(seed)
    world = coupled_features((5, 6), 1, generator)
    train_tokens = world.draw(800, TRAIN_LENGTH, False, generator)
    test_tokens = {n: world.draw(500, n, True, generator) for n in (2, TRAIN_LENGTH, 40)}
    y = world.target(train_tokens)

    def joined(tokens: Tensor) -> Tensor:
        return torch.cat(world.features(tokens), dim=-1)

    hfa = HyperFeatureAttention(world.sizes, 1, dtype=DTYPE, generator=generator)
    for value, size in zip(hfa.value, world.sizes, strict=True):
        start_as_in_the_paper(value, one_hot(size))
    sa = LinearSelfAttention(11, 1, dtype=DTYPE, generator=generator)
    wide = LinearSelfAttention(30, 1, dtype=DTYPE)
    start_as_in_the_paper(wide.value, one_hot(30))
    inputs = {
        "HFA, d = 5 + 6": (hfa, world.features),
        "SA, d = 11": (sa, joined),
        "SA, d = 5 * 6": (wide, lambda tokens: one_hot(30)[tokens]),
    }
    lines, errors, losses = [], {}, {}
    for name, (module, embed) in inputs.items():
        x = embed(train_tokens)
        losses[name] = train(module, lambda module=module, x=x: module(x), y, 30, GOAL).losses
        with torch.no_grad():
            found = {n: mse(module(embed(t)), world.target(t)).item() for n, t in test_tokens.items()}
        errors[name] = found[TRAIN_LENGTH]
        n_parameters = sum(p.numel() for p in module.parameters())
        setting = f"{name}, {n_parameters} parameters"
        lines.append(
            Line(
                "coupled features",
                setting,
                "train MSE, L = 20",
                "",
                losses[name][-1],
                _bound(name, "HFA", 1e-3),
            )
        )
        for n, value in found.items():
            needed = _bound(name, "HFA", 1e-3) if name != "SA, d = 5 * 6" else ""
            lines.append(
                Line(
                    "coupled features", setting, f"test MSE with 4 unseen tokens, L = {n}", "", value, needed
                )
            )
    # Self-attention over all 30 tokens fits what it has seen; only HFA knows tokens it has not.
    lines = [_informs(line) if "d = 5 * 6" in line.setting else line for line in lines]
    return Comparison("coupled features", lines, errors, y.var().item(), losses)


def _bound(name: str, reaches: str, floor: float) -> str:
    return "<= 1e-7" if name.startswith(reaches) else f">= {floor:g}"


def _informs(line: Line) -> Line:
    return Line(line.experiment, line.setting, line.quantity, line.paper, line.ours)


def trigram_comparison(seed: int = 0) -> Comparison:
    """An allele that responds to two others together: HyperAttention of order 3, SA and HFA (section 5.2)."""
    generator = torch.Generator().manual_seed(seed)
    world = skip_trigrams(8, 4, generator)
    embedding = one_hot(world.n_tokens)
    train_tokens = world.draw(1200, 6, generator)
    test_tokens = {n: world.draw(2000, n, generator) for n in (3, 6, 8)}
    y = world.target(train_tokens)
    hyper = HyperAttention(16, 1, order=3, rank=6, dtype=DTYPE, generator=generator)
    start_as_in_the_paper(hyper.values, embedding)
    linear = LinearSelfAttention(16, 1, distinct=True, dtype=DTYPE)
    start_as_in_the_paper(linear.value, embedding)
    feature = HyperFeatureAttention((8, 2), 1, distinct=True, dtype=DTYPE, generator=generator)
    for value, size in zip(feature.value, (8, 2), strict=True):
        start_as_in_the_paper(value, one_hot(size))
    inputs = {
        "HyperAttention, order 3": (hyper, lambda tokens: embedding[tokens]),
        "SA": (linear, lambda tokens: embedding[tokens]),
        "HFA, site and allele": (feature, world.features),
    }
    lines, errors, losses = [], {}, {}
    for name, (module, embed) in inputs.items():
        x = embed(train_tokens)
        n_rounds = 30 if module is hyper else 15
        losses[name] = train(module, lambda module=module, x=x: module(x), y, n_rounds, GOAL).losses
        needed = _bound(name, "Hyper", 1e-3)
        lines.append(Line("three-way function", name, "train MSE, L = 6", "", losses[name][-1], needed))
        for n, tokens in test_tokens.items():
            with torch.no_grad():
                error = mse(module(embed(tokens)), world.target(tokens)).item()
            lines.append(Line("three-way function", name, f"test MSE, L = {n}", "", error, needed))
            if n == 6:
                errors[name] = error
    return Comparison("three-way function", lines, errors, y.var().item(), losses)
