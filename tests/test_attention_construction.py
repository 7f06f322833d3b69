"""Parameters written down for an interaction, and learned ones: the paper's theorems at small size."""

import pytest
import torch

from genoattn.attention import LinearSelfAttention


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def outputs(f, w, tokens):
    """out_i = sum_j f(i, j) w_j, by the definition."""
    return torch.stack(
        [torch.stack([sum(f[i, j] * w[j] for j in sample) for i in sample]) for sample in tokens]
    )


@pytest.mark.parametrize("embedding", [None, draw(9, 9, seed=3)])
def test_every_pairwise_function_is_represented(embedding):
    f, w = draw(9, 9), draw(9, 2, seed=1)
    module = LinearSelfAttention.from_interactions(f, w, embedding)
    tokens = torch.tensor([[0, 3, 3, 8], [5, 1, 2, 7]])
    x = (torch.eye(9).double() if embedding is None else embedding)[tokens]
    torch.testing.assert_close(module(x), outputs(f, w, tokens), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 4, 8])
def test_rank_error_is_the_tail_of_the_singular_values(rank):
    f, embedding = draw(9, 9), torch.linalg.qr(draw(9, 9, seed=3))[0]
    module = LinearSelfAttention.from_interactions(f, draw(9, 1), embedding, rank=rank)
    error = f - embedding @ module.interaction[0] @ embedding.T
    tail = torch.linalg.svdvals(f)[rank:]
    torch.testing.assert_close(torch.linalg.matrix_norm(error, 2), tail[0])
    torch.testing.assert_close(torch.linalg.matrix_norm(error), tail.square().sum().sqrt())
    assert torch.linalg.matrix_rank(module.interaction[0]) == rank


def test_training_from_zero_recovers_the_table():
    f, w = draw(6, 6), draw(6, 1, seed=1).abs() + 0.5
    embedding = torch.linalg.qr(draw(6, 6, seed=3))[0]
    tokens = torch.randint(6, (200, 5), generator=torch.Generator().manual_seed(4))
    x, y = embedding[tokens], outputs(f, w, tokens)
    designed = LinearSelfAttention.from_interactions(f, w, embedding)
    learned = LinearSelfAttention(6, 1, dtype=torch.float64)
    with torch.no_grad():
        learned.value[0] = torch.linalg.solve(embedding, torch.ones(6, 1, dtype=torch.float64))
    optimiser = torch.optim.LBFGS(learned.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = (learned(x) - y).square().mean()
        loss.backward()
        return loss

    for _ in range(5):
        optimiser.step(closure)
    assert closure() < 1e-9
    tables = [torch.from_numpy(m.interaction_table(embedding).dense()) for m in (designed, learned)]
    assert (tables[0] - tables[1]).square().mean() < 1e-7
    assert (designed.interaction - learned.interaction).square().mean() > 1e-3
    longer = torch.randint(6, (3, 11), generator=torch.Generator().manual_seed(5))
    assert (learned(embedding[longer]) - outputs(f, w, longer)).square().mean() < 1e-7
