"""Losses against brute force, their limits, and their gradients."""

import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from radscale_lib.pretrain.losses import pairs as pairs_module
from radscale_lib.pretrain.losses import prototypes
from radscale_lib.pretrain.losses.centre import Centre
from radscale_lib.pretrain.losses.dino import dino_loss
from radscale_lib.pretrain.losses.ibot import ibot_loss
from radscale_lib.pretrain.losses.koleo import koleo_loss
from radscale_lib.pretrain.losses.pairs import Pairs, compare
from radscale_lib.pretrain.losses.prototypes import Assignments, sinkhorn
from radscale_lib.pretrain.losses.siglip import siglip_loss
from radscale_lib.pretrain.losses.unicl import unicl_loss


def pairs(ids: Sequence[int], neither: Sequence[tuple[int, int]] = ()) -> Pairs:
    """Positives have equal ids; all others are negatives, except some that are unknown."""
    numbers = torch.tensor(list(ids))
    positive = numbers[:, None] == numbers[None, :]
    negative = ~positive
    for i, j in neither:
        negative[i, j] = negative[j, i] = False
    return Pairs(positive, negative)


def unicl_by_loops(u: Tensor, v: Tensor, scale: float, ids: list[int]) -> float:
    """Equations 3 to 5 of arXiv 2204.03610, element by element."""
    u = [x / x.norm() for x in u]
    v = [x / x.norm() for x in v]
    count = len(ids)
    total = 0.0
    for rows, columns in ((u, v), (v, u)):
        for i in range(count):
            scores = [math.exp(scale) * float(rows[i] @ columns[j]) for j in range(count)]
            log_sum = math.log(sum(math.exp(score) for score in scores))
            positives = [j for j in range(count) if ids[i] == ids[j]]
            total += -sum(scores[j] - log_sum for j in positives) / len(positives) / count
    return total / 2


@given(ids=st.lists(st.integers(0, 3), min_size=2, max_size=7), seed=st.integers(0, 99))
def test_unicl_equals_the_sum_written_out(ids: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    u, v = torch.randn(2, len(ids), 5)
    loss = unicl_loss(u, v, torch.tensor(1.5), pairs(ids))
    assert float(loss) == pytest.approx(unicl_by_loops(u, v, 1.5, ids), rel=1e-4)


def test_unicl_is_infonce_when_all_pairs_differ() -> None:
    torch.manual_seed(0)
    u, v = F.normalize(torch.randn(2, 9, 6), dim=-1)
    scale = torch.tensor(2.0)
    logits, truth = scale.exp() * u @ v.T, torch.arange(9)
    expected = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
    torch.testing.assert_close(unicl_loss(u, v, scale, pairs(range(9))), expected)


def test_undecided_pairs_have_no_part() -> None:
    """The loss is what it is without them, and has no gradient from them."""
    torch.manual_seed(0)
    u, v = torch.randn(2, 4, 5)
    v.requires_grad_()
    scale, bias = torch.tensor(1.5), torch.tensor(-2.0)
    some = pairs([0, 1, 0, 2], neither=[(1, 3)])
    logits = scale.exp() * F.normalize(u, dim=-1) @ F.normalize(v, dim=-1).T
    rows = []
    for each in (logits, logits.T):
        for i in range(4):
            others = [j for j in range(4) if {i, j} != {1, 3}]
            positives = {0: [0, 2], 2: [0, 2]}.get(i, [i])
            log_sum = each[i, others].logsumexp(0)
            rows.append(-(each[i, positives] - log_sum).mean())
    torch.testing.assert_close(unicl_loss(u, v, scale, some), torch.stack(rows).mean())
    alone = Pairs(torch.eye(4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool))
    loss = unicl_loss(u, v, scale, alone)
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(v.grad, torch.zeros_like(v))
    fewer = siglip_loss(u, v, scale, bias, some)
    apart = (F.softplus(logits[1, 3] + bias) + F.softplus(logits[3, 1] + bias)) / 4
    torch.testing.assert_close(siglip_loss(u, v, scale, bias, pairs([0, 1, 0, 2])) - fewer, apart)


@pytest.mark.parametrize("name", ["unicl", "siglip"])
def test_logits_keep_their_precision_under_autocast(name: str) -> None:
    torch.manual_seed(0)
    found = []
    for enabled in (False, True):
        u, v = torch.randn(2, 9, 6).requires_grad_()
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            known = pairs([0, 1, 2, 3, 0, 5, 6, 7, 8])
            scale = torch.tensor(4.0, requires_grad=True)
            bias = [torch.tensor(-3.0)] if name == "siglip" else []
            loss = {"unicl": unicl_loss, "siglip": siglip_loss}[name](u, v, scale, *bias, known)
        found.append((loss.detach(), *torch.autograd.grad(loss, (u, v, scale))))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_what_is_compared() -> None:
    """Row by row: report, the study's other report, the same words, nearly so, and label sets."""
    nan = -1
    known = [
        # study, section, drawn, by labels, states, words
        (0, 1, 1, False, (nan, nan), (1, 1, 1, 0)),
        (0, 2, 2, False, (nan, nan), (0, 0, 0, 1)),
        (1, 1, 1, False, (nan, nan), (1, 1, 1, 0)),
        (2, 3, 3, False, (nan, nan), (1, 1, 0, 0)),
        (3, 4, 1, False, (nan, nan), (0, 0, 0, 0)),
        (4, 5, 5, True, (1, 0), (0, 0, 0, 0)),
        (5, 6, 6, True, (1, nan), (0, 0, 0, 0)),
        (0, 7, 7, True, (0, 1), (0, 0, 0, 0)),
        (6, 5, 5, True, (1, 0), (0, 0, 0, 0)),
    ]
    columns = list(zip(*known, strict=True))
    names = ("study", "text", "said", "by_labels", "states", "words")
    batch = {name: torch.tensor(values) for name, values in zip(names, columns, strict=True)}
    for near, alike in ((1.0, []), (0.6, [(0, 3), (2, 3)])):
        positive = {(0, 1), (0, 2), (0, 4), (2, 4), (5, 8), *alike}
        neither = {(0, 7), (1, 7), (5, 6), (6, 8)}
        found = compare(batch, near)
        for i in range(9):
            for j in range(9):
                pair = (min(i, j), max(i, j))
                assert found.positive[i, j] == (i == j or pair in positive), pair
                other = i != j and pair not in positive and pair not in neither
                assert found.negative[i, j] == other, pair


@given(ids=st.lists(st.integers(0, 3), min_size=2, max_size=7), seed=st.integers(0, 99))
def test_siglip_equals_the_sum_written_out(ids: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    u, v = torch.randn(2, len(ids), 5)
    terms = []
    for i, x in enumerate(u):
        for j, y in enumerate(v):
            cosine = float(F.cosine_similarity(x, y, dim=0))
            logit = (1 if ids[i] == ids[j] else -1) * (math.exp(1.5) * cosine - 2)
            terms.append(math.log(1 + math.exp(-logit)))
    loss = siglip_loss(u, v, torch.tensor(1.5), torch.tensor(-2.0), pairs(ids))
    assert float(loss) == pytest.approx(sum(terms) / len(ids), rel=1e-4)


def test_siglip_equals_open_clips() -> None:
    """Where all pairs differ; gradients too."""
    from open_clip.loss import SigLipLoss

    torch.manual_seed(0)
    u, v = F.normalize(torch.randn(2, 9, 6), dim=-1)
    scale, bias = (torch.tensor(x, requires_grad=True) for x in (math.log(10), -10.0))
    ours = siglip_loss(u, v, scale, bias, pairs(range(9)))
    theirs = SigLipLoss()(u, v, scale.exp(), bias)
    torch.testing.assert_close(ours, theirs)
    found = torch.autograd.grad(ours, (scale, bias))
    torch.testing.assert_close(found, torch.autograd.grad(theirs, (scale, bias)))


def test_unicl_gradient() -> None:
    torch.manual_seed(0)
    u, v = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    scale = torch.tensor(0.5, requires_grad=True)
    ids = [0, 1, 0, 2]
    unicl_loss(u, v, scale, pairs(ids)).backward()
    for x in (u, v, scale):
        numeric = finite_difference(lambda: unicl_loss(u, v, scale, pairs(ids)), x)
        torch.testing.assert_close(x.grad, numeric, atol=2e-3, rtol=2e-2)


def finite_difference(loss: object, x: Tensor, step: float = 1e-2) -> Tensor:
    gradient = torch.zeros_like(x)
    with torch.no_grad():
        for place in range(x.numel()):
            flat = x.view(-1)
            before = flat[place].item()
            flat[place] = before + step
            above = float(loss())
            flat[place] = before - step
            gradient.view(-1)[place] = (above - float(loss())) / (2 * step)
            flat[place] = before
    return gradient


def test_dino_equals_the_sum_over_pairs() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 3, 7), torch.randn(2, 3, 7).softmax(-1)
    terms = [
        -(teacher[t] * (student[s] / 0.1).log_softmax(-1)).sum(-1).mean()
        for t in range(2)
        for s in range(5)
        if s != t
    ]
    assert len(terms) == 8
    torch.testing.assert_close(
        dino_loss(student, torch.eye(7), teacher, 0.1), torch.stack(terms).mean()
    )


def test_dino_is_least_at_the_targets() -> None:
    teacher = torch.randn(2, 3, 7).softmax(-1)
    teacher[1] = teacher[0]
    same = (teacher.log() * 0.1).requires_grad_()
    loss = dino_loss(same, torch.eye(7), teacher, 0.1)
    entropy = -(teacher * teacher.log()).sum(-1).mean()
    torch.testing.assert_close(loss, entropy)
    loss.backward()
    assert same.grad.abs().max() < 1e-6


def test_ibot_is_a_mean_of_means() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 7), torch.randn(5, 7).softmax(-1)
    crops = [[0, 1, 2], [], [3, 4], []]
    means = [
        torch.stack([-(teacher[i] * (student[i] / 0.2).log_softmax(-1)).sum() for i in crop]).mean()
        for crop in crops
        if crop
    ]
    weights = torch.tensor([1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2]) / len(crops)
    expected = torch.stack(means).sum() / len(crops)
    same = torch.eye(7)
    given = [Assignments(rows.log(), same, 1.0) for rows in (teacher, teacher[:0])]
    torch.testing.assert_close(ibot_loss(student, same, given[0], weights, 0.2), expected)
    assert float(ibot_loss(student[:0], same, given[1], weights[:0], 0.2)) == 0


@pytest.mark.parametrize("balance", ["sinkhorn", "centre"])
def test_chunks_of_rows_change_nothing(balance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and gradients equal those of all logits at once, by autograd, for any chunk."""
    torch.manual_seed(0)
    classes, patches = torch.randn(5, 3, 6, requires_grad=True), torch.randn(8, 6).requires_grad_()
    rows = torch.randn(11, 6, requires_grad=True)
    teacher_classes, teacher_patches = torch.randn(6, 6), torch.randn(8, 6)
    weights = torch.rand(8)
    inputs = (classes, patches, rows)
    mean = torch.zeros(11)
    if balance == "sinkhorn":
        targets = [
            sinkhorn_by_definition(x @ rows.detach().T, 0.3, 3)
            for x in (teacher_classes, teacher_patches)
        ]
    else:
        mean = torch.randn(11)
        targets = [
            ((x @ rows.detach().T - mean) / 0.3).softmax(1)
            for x in (teacher_classes, teacher_patches)
        ]
    terms = [
        -(targets[0].view(2, 3, 11)[t] * (classes[s] @ rows.T / 0.2).log_softmax(-1)).sum(-1).mean()
        for t in range(2)
        for s in range(5)
        if s != t
    ]
    entropies = -(targets[1] * (patches @ rows.T / 0.2).log_softmax(-1)).sum(-1)
    expected = torch.stack([torch.stack(terms).mean(), weights @ entropies])
    gradients = torch.autograd.grad(expected @ torch.tensor([1.0, 0.7]), inputs)
    for at_once in (1000, 3):
        monkeypatch.setattr(prototypes, "LOGITS", 11 * at_once)
        balanced = []
        for x in (teacher_classes, teacher_patches):
            centre = Centre(11, 0.9)
            centre.mean.copy_(mean)
            make = sinkhorn if balance == "sinkhorn" else centre
            balanced.append(make(x, rows.detach(), 0.3))
        assert len(balanced[1].chunks) == (1 if at_once == 1000 else 3)
        found = torch.stack([
            dino_loss(classes, rows, balanced[0].whole().view(2, 3, 11), 0.2),
            ibot_loss(patches, rows, balanced[1], weights, 0.2),
        ])  # fmt: skip
        torch.testing.assert_close(found, expected)
        followed = torch.autograd.grad(found @ torch.tensor([1.0, 0.7]), inputs)
        torch.testing.assert_close(followed, gradients)


def test_what_needs_no_gradient_has_none() -> None:
    tokens, rows = torch.randn(4, 6, requires_grad=True), torch.randn(5, 6)
    teacher = Assignments(torch.randn(4, 6), rows, 1.0)
    ibot_loss(tokens, rows, teacher, torch.ones(4), 0.1).backward()
    assert tokens.grad is not None and rows.grad is None
    with torch.no_grad():
        assert not ibot_loss(tokens, rows, teacher, torch.ones(4), 0.1).requires_grad


@pytest.mark.parametrize("name", ["unicl", "siglip"])
def test_chunks_of_similarities_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    inputs = [*torch.randn(2, 7, 5), torch.tensor(1.5), torch.tensor(-2.0)]
    inputs = [x.requires_grad_() for x in inputs[: 3 if name == "unicl" else 4]]
    known = pairs([0, 1, 0, 2, 3, 3, 4], neither=[(1, 3)])
    found = []
    for at_once in (7, 2):
        monkeypatch.setattr(pairs_module, "SIMILARITIES", 7 * at_once)
        loss = {"unicl": unicl_loss, "siglip": siglip_loss}[name](*inputs, known)
        found.append((loss, *torch.autograd.grad(loss, inputs)))
    torch.testing.assert_close(found[0], found[1])


def test_koleo() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4, requires_grad=True)
    unit = [row / row.norm() for row in x.detach()]
    distances = [
        min(float((unit[i] - unit[j]).norm()) for j in range(6) if i != j) for i in range(6)
    ]
    expected = -sum(math.log(distance) for distance in distances) / 6
    loss = koleo_loss(x)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    numeric = finite_difference(lambda: koleo_loss(x), x, 1e-3)
    torch.testing.assert_close(x.grad, numeric, atol=2e-3, rtol=2e-2)


def test_koleo_keeps_its_precision_under_autocast() -> None:
    x = torch.randn(16, 8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = koleo_loss(x)
    torch.testing.assert_close(inside, koleo_loss(x), rtol=0, atol=0)


def test_koleo_of_equal_or_single_features() -> None:
    x = torch.ones(3, 4, requires_grad=True)
    loss = koleo_loss(x)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()
    with pytest.raises(ValueError, match="two images"):
        koleo_loss(torch.ones(1, 4))


def sinkhorn_by_definition(logits: Tensor, temperature: float, iterations: int) -> Tensor:
    """The usual form, in float64."""
    q = (logits.double() / temperature).exp()
    for _ in range(iterations):
        q = q / q.sum(dim=0, keepdim=True)
        q = q / q.sum(dim=1, keepdim=True)
    return q.float()


@pytest.mark.parametrize("iterations", [1, 3, 5])
def test_sinkhorn_equals_its_usual_form(iterations: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(20, 12)
    expected = sinkhorn_by_definition(logits, 0.3, iterations)
    found = sinkhorn(logits, torch.eye(12), 0.3, iterations).whole()
    torch.testing.assert_close(found, expected)
    assert logits.std() == pytest.approx(1, abs=0.2)  # the input is not written to


def test_sinkhorn_balances_prototypes() -> None:
    torch.manual_seed(0)
    q = sinkhorn(torch.randn(64, 8) + torch.arange(8), torch.eye(8), 1.0, iterations=50).whole()
    torch.testing.assert_close(q.sum(dim=1), torch.ones(64))
    torch.testing.assert_close(q.sum(dim=0), torch.full((8,), 8.0), rtol=1e-3, atol=1e-3)


@given(scale=st.floats(1, 1e4), seed=st.integers(0, 20))
def test_sinkhorn_is_finite_for_any_logits(scale: float, seed: int) -> None:
    """The usual form overflows at eight times the usual logits and temperature 0.04."""
    torch.manual_seed(seed)
    q = sinkhorn(scale * torch.randn(10, 6), torch.eye(6), 0.04).whole()
    assert torch.isfinite(q).all()
    torch.testing.assert_close(q.sum(dim=1), torch.ones(10))


def test_sinkhorn_of_nothing() -> None:
    assert sinkhorn(torch.zeros(0, 5), torch.eye(5), 0.1).whole().shape == (0, 5)
