"""Learners: what is optimised, what is averaged, and what is kept."""

import copy
import math
from pathlib import Path

import pytest
import torch

from radscale_lib.encoders.storage import EncoderFile, save_encoder
from radscale_lib.encoders.text import LearntTokenizer
from radscale_lib.pretrain.dinov2_learner import Dinov2Learner, RadDinoModel
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.flops import flops_per_sample
from radscale_lib.pretrain.job import Job
from radscale_lib.pretrain.learner import Learner
from radscale_lib.pretrain.losses.dino import dino_loss
from radscale_lib.pretrain.losses.koleo import koleo_loss
from radscale_lib.pretrain.losses.prototypes import sinkhorn
from radscale_lib.pretrain.schedules import cosine, linear, warmup_cosine
from radscale_lib.pretrain.setup import continue_from
from radscale_lib.pretrain.unicl_learner import Mi2Model, UniclLearner
from radscale_lib.study import Study, parse_study
from radscale_lib.study.paradigms.dinov2 import Dinov2
from radscale_lib.study.paradigms.unicl import Unicl
from tests.pretrain.archive import Archive
from tests.pretrain.runs import batches_of, job, trainer_of

Batch = dict[str, torch.Tensor]


@pytest.fixture
def study(archive: Archive) -> Study:
    return archive.study


def dinov2(study: Study, **values: object) -> Dinov2Learner:
    torch.manual_seed(0)
    recipe = study.arms["rad-dino"].recipe
    assert isinstance(recipe, Dinov2)
    encoder = study.encoders["rad-dino"]
    image = encoder.image.model_copy(update={"layer_scale": 0.5, "drop_path": 0.0})
    recipe = recipe.model_copy(update=values)
    model = RadDinoModel(encoder.model_copy(update={"image": image}), recipe.separate_ibot_head)
    return Dinov2Learner(model, recipe)


def unicl(study: Study, **values: object) -> UniclLearner:
    torch.manual_seed(0)
    recipe = study.arms["mi2-both"].recipe
    assert isinstance(recipe, Unicl)
    tokenizer = LearntTokenizer.learn(["heart size is normal", "effusion"] * 2, 300, 32)
    return UniclLearner(
        Mi2Model(study.encoders["mi2"], tokenizer), recipe.model_copy(update=values)
    )


def crops(images: int = 4, masked: bool = True) -> Batch:
    torch.manual_seed(1)
    mask = torch.zeros(2 * images, 16, dtype=torch.bool)
    if masked:
        mask[0, :5] = mask[5, 3:9] = True
    return {
        "global": torch.randint(0, 256, (2 * images, 1, 32, 32), dtype=torch.uint8),
        "local": torch.randint(0, 256, (2 * images, 1, 16, 16), dtype=torch.uint8),
        "mask": mask,
    }


def known_of(numbers: list[int]) -> Batch:
    """What is known of reports: those of one number are the same."""
    ids = torch.tensor(numbers)
    return {
        "study": ids,
        "text": ids,
        "said": ids,
        "by_labels": torch.zeros(len(ids), dtype=torch.bool),
        "states": torch.full((len(ids), 3), -1, dtype=torch.int8),
        "section_tokens": torch.full((len(ids),), 9),
        "left_out_tokens": torch.zeros(len(ids), dtype=torch.int64),
    }


def pairs(images: int = 4) -> Batch:
    torch.manual_seed(1)
    tokens = torch.randint(3, 280, (images, 9))
    tokens[:, 0], tokens[:, -1] = 1, 2
    return {
        "images": torch.randint(0, 256, (images, 1, 32, 32), dtype=torch.uint8),
        "tokens": tokens,
        **known_of([0, 1, 0, 2][:images]),
    }


def step(learner: Learner, batch: Batch, number: int, lr: float = 1e-2) -> None:
    optimiser = torch.optim.SGD([dict(group) for group in learner.groups()], lr=lr)
    learner(batch, number)["loss"].backward()
    learner.before_update(number)
    optimiser.step()
    optimiser.zero_grad()
    learner.after_update(number)


def test_every_parameter_is_optimised_once(study: Study) -> None:
    for learner, model in ((d := dinov2(study), d.student), (u := unicl(study), u.model)):
        listed = [id(p) for group in learner.groups() for p in group["params"]]
        assert sorted(listed) == sorted(id(p) for p in model.parameters())
        learner.train()
        batch = crops() if isinstance(learner, Dinov2Learner) else pairs()
        learner(batch, 0)["loss"].backward()
        assert all(p.grad is not None for p in model.parameters())
        others = set(map(id, learner.parameters())) - set(listed)
        assert all(p.grad is None for p in learner.parameters() if id(p) in others)


def test_decay_spares_vectors_and_embeddings(study: Study) -> None:
    for learner, model in ((d := dinov2(study), d.student), (u := unicl(study), u.model)):
        names = {id(p): name for name, p in model.named_parameters()}
        decayed = {names[id(p)] for g in learner.groups() if g["decay_scale"] for p in g["params"]}
        spared = set(names.values()) - decayed
        assert all(p.ndim > 1 for name, p in model.named_parameters() if name in decayed)
        words = ("bias", "norm", "ln_", "embed", "token", "gamma", "scale", "cpe")
        assert all(any(word in name for word in words) for name in spared), spared
        assert not any("embedding" in name or "norm" in name for name in decayed)


def test_layerwise_rates(study: Study) -> None:
    learner = dinov2(study, layer_decay=0.5)
    rates = learner.lr_scales()
    # Four blocks: the embeddings lie five levels below the head, as in DINOv2's own rule.
    assert rates["head.mlp.0.weight"] == rates["image.norm.weight"] == 1
    assert [rates[f"image.blocks.{i}.mlp.fc1.weight"] for i in range(4)] == [
        1 / 16,
        1 / 8,
        1 / 4,
        1 / 2,
    ]
    assert rates["image.cls_token"] == rates["image.pos_embed"] == rates["mask_token"] == 1 / 32
    assert rates["image.patch_embed.proj.weight"] == pytest.approx(0.2 / 32)


def test_teacher_follows_and_is_kept(study: Study) -> None:
    learner = dinov2(study, momentum=(0.75, 0.75), freeze_last_layer=0.0)
    before = copy.deepcopy(learner.teacher.state_dict())
    step(learner, crops(), 0)
    student = learner.student.state_dict()
    kept = learner.encoder()
    assert kept.keys() == student.keys()
    for name, value in kept.items():
        torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * student[name])
    assert not torch.equal(kept["image.cls_token"], before["image.cls_token"])


def test_average_is_kept(study: Study) -> None:
    learner = unicl(study, ema=0.75)
    before = copy.deepcopy(learner.average.state_dict())
    step(learner, pairs(), 0)
    for name, value in learner.encoder().items():
        expected = 0.75 * before[name] + 0.25 * learner.model.state_dict()[name]
        torch.testing.assert_close(value, expected)


def test_prototypes_are_held_at_the_start(study: Study) -> None:
    learner = dinov2(study, freeze_last_layer=0.25)  # 3 of 12 steps
    before = copy.deepcopy(learner.student.head.last_layer.state_dict())
    step(learner, crops(), 2)
    for name, value in learner.student.head.last_layer.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    step(learner, crops(), 3)
    moved = learner.student.head.last_layer.weight_v - before["weight_v"]
    assert moved.abs().max() > 0


def test_towers_are_held_while_heads_warm_up(study: Study) -> None:
    learner = dinov2(study, head_warmup=0.25, freeze_last_layer=0.0)  # 3 of 12 steps
    before = copy.deepcopy(learner.student.state_dict())
    step(learner, crops(), 2)
    moved = {n for n, x in learner.student.state_dict().items() if not torch.equal(x, before[n])}
    assert moved == {name for name in before if name.startswith("head.")}
    step(learner, crops(), 3)
    assert not torch.equal(learner.student.image.cls_token, before["image.cls_token"])


def test_patches_may_have_a_head_of_their_own(study: Study) -> None:
    """iBOT goes through it, DINO does not; without masks it is part of the graph all the same."""
    learner = dinov2(study, separate_ibot_head=True, freeze_last_layer=0.0)
    assert learner.student.ibot_head is not None
    batch = crops()
    losses = learner(batch, 0)
    before = {name: losses[name].item() for name in ("dino", "ibot")}
    with torch.no_grad():
        for model in (learner.student, learner.teacher):
            model.ibot_head.last_layer.weight_v.mul_(-1)
            model.ibot_head.mlp[0].bias.add_(1)
    after = {name: value.item() for name, value in learner(batch, 0).items()}
    assert after["dino"] == before["dino"]
    assert after["ibot"] != before["ibot"]
    learner(crops(masked=False), 0)["loss"].backward()
    assert all(p.grad is not None for p in learner.student.parameters())
    names = [name for group in learner.groups() for name in group["names"]]
    assert set(names) == set(dict(learner.student.named_parameters()))
    assert "ibot_head.last_layer.weight_v" in learner.encoder()
    held = dinov2(study, separate_ibot_head=True, freeze_last_layer=1.0)
    held(batch, 0)["loss"].backward()
    held.before_update(0)
    assert all(
        p.grad is None for head in held.student.heads() for p in head.last_layer.parameters()
    )


@pytest.mark.parametrize("separate", [False, True])
def test_bases_and_heads(separate: bool, archive: Archive, tmp_path: Path) -> None:
    """One head becomes two alike, two become one, and none becomes new ones that warm up."""
    study = archive.study.model_dump(mode="json")
    recipe = study["arms"]["rad-dino"]["recipe"]
    encoder, base = archive.study.encoders["rad-dino"], tmp_path / "base.safetensors"
    for before in (False, True):
        recipe["separate_ibot_head"] = before
        made = job(archive, "rad-dino", study=parse_study(study))
        given = {n: x + 1 for n, x in batches_of(made, tmp_path)[0].encoder().items()}
        save_encoder(base, EncoderFile(encoder, given))
        recipe["separate_ibot_head"] = separate
        made = job(archive, "rad-dino", study=parse_study(study), base=base)
        kept = batches_of(made, tmp_path)[0].encoder()
        assert any(name.startswith("ibot_head.") for name in kept) == separate
        for name, tensor in kept.items():
            source = name if name in given else name.removeprefix("ibot_")
            assert torch.equal(tensor, given[source]), name
    bare = {name: x for name, x in given.items() if name.startswith("image.")}
    save_encoder(base, EncoderFile(encoder, bare))
    made = job(archive, "rad-dino", study=parse_study(study), base=base)
    with pytest.raises(PretrainError, match="weights of the base are missing"):
        batches_of(made, tmp_path)
    recipe["head_warmup"] = 0.1
    made = job(archive, "rad-dino", study=parse_study(study), base=base)
    kept = batches_of(made, tmp_path)[0].encoder()
    assert all(torch.equal(kept[name], tensor) for name, tensor in bare.items())
    assert "head.last_layer.weight_v" in kept and torch.equal(
        kept["mask_token"], torch.zeros(1, 16)
    )


def test_softmax_centring(study: Study) -> None:
    """Assignments are a softmax about the mean of earlier steps; a step moves it at its end."""
    learner = dinov2(study, centring="softmax", centre_momentum=0.75, teacher_warmup=0.0).eval()
    batch = crops()
    wide, chosen = batch["global"].float() / 255, batch["mask"].flatten()
    with torch.no_grad():
        cls, patches = learner.teacher.image.tokens(wide, patches=torch.arange(8 * 16))
        rows = learner.teacher.head.prototypes().T
        logits = [learner.teacher.head(x) @ rows for x in (cls, patches[chosen])]
    mean = torch.zeros(64)
    for number in range(2):
        (pass_,) = learner.passes(batch, 1, lambda _: None)
        targets, _ = learner._targets(wide, chosen.nonzero().squeeze(1), number)
        learner(pass_, number)  # FLOPs are counted in the same way
        torch.testing.assert_close(targets, ((logits[0] - mean) / 0.07).softmax(dim=1))
        learner.after_update(number)
        mean = 0.75 * mean + 0.25 * logits[0].mean(dim=0)
        torch.testing.assert_close(learner.centres["classes"].mean, mean)
        learner.teacher.load_state_dict(copy.deepcopy(learner.student.state_dict()))
    patch_mean = (1 - 0.75**2) * logits[1].mean(dim=0)
    torch.testing.assert_close(learner.centres["patches"].mean, patch_mean)
    assert "centres.classes.mean" in learner.state_dict()


def test_each_part_may_be_clipped_by_itself(archive: Archive, tmp_path: Path) -> None:
    """As clip_grad_norm_ of each would; together, large gradients of one shrink the others."""
    for each in (False, True):
        made = with_recipe(archive, "rad-dino", 0.0, clip=1e-3, clip_each=each)
        trainer, batches = trainer_of(made, tmp_path)
        trainer.backward(batches[0])
        raw = gradients(trainer.learner)
        norm = trainer._clip()
        parts = {name.split(".")[1] for name in raw}
        norms = {
            part: torch.stack([g.norm() for n, g in raw.items() if n.split(".")[1] == part]).norm()
            for part in parts
        }
        total = torch.stack(list(norms.values())).norm()
        torch.testing.assert_close(norm, total)
        for name, gradient in gradients(trainer.learner).items():
            of = norms[name.split(".")[1]] if each else total
            expected = raw[name] * min(1.0, 1e-3 / float(of))
            torch.testing.assert_close(gradient, expected, rtol=2e-3, atol=1e-9)


def test_temperature_is_limited(study: Study) -> None:
    learner = unicl(study)
    with torch.no_grad():
        learner.model.logit_scale.fill_(9)
    learner.after_update(0)
    assert learner.model.logit_scale.item() == pytest.approx(math.log(100))


def test_teacher_never_drops_paths(study: Study) -> None:
    learner = dinov2(study)
    learner.train()
    assert learner.student.image.training
    assert not learner.teacher.image.training


def test_dinov2_loss_is_its_parts(study: Study) -> None:
    """The whole loss, put together from plain forwards of both models."""
    learner = dinov2(study, ibot_weight=0.7, koleo_weight=0.3, teacher_warmup=0.5).eval()
    batch, recipe = crops(), learner.recipe
    losses = learner(batch, 3)
    wide, local = batch["global"].float() / 255, batch["local"].float() / 255
    temperature = 0.04 + 0.03 * 3 / 6  # step 3 of a warm-up of 6 of 12 steps
    with torch.no_grad():
        teacher, student = learner.teacher, learner.student
        everything = torch.arange(8 * 16)
        cls, patches = teacher.image.tokens(wide, patches=everything)
        rows = teacher.head.prototypes()
        targets = sinkhorn(teacher.head(cls), rows, temperature).whole().unflatten(0, (2, 4))
        chosen = batch["mask"].flatten()
        patch_targets = sinkhorn(teacher.head(patches[chosen]), rows, temperature).whole()
        s_cls, s_patches = student.image.tokens(wide, batch["mask"], student.mask_token, everything)
        l_cls, _ = student.image.tokens(local)
        rows = student.head.prototypes()
        tokens = student.head(torch.cat([s_cls, l_cls])).unflatten(0, (4, 4))
        dino = dino_loss(tokens, rows, targets, recipe.student_temperature)
        logits = student.head(s_patches[chosen]) @ rows.T
        log_p = (logits / recipe.student_temperature).log_softmax(-1)
        entropies = -(patch_targets * log_p).sum(-1)
        ibot = (entropies[:5].mean() + entropies[5:].mean()) / 8
        koleo = koleo_loss(s_cls[:4]) + koleo_loss(s_cls[4:])
    torch.testing.assert_close(losses["dino"], dino)
    torch.testing.assert_close(losses["ibot"], ibot)
    torch.testing.assert_close(losses["koleo"], koleo)
    torch.testing.assert_close(losses["loss"], dino + 0.7 * ibot + 0.3 * koleo)


def test_a_share_without_masks_uses_every_parameter(study: Study) -> None:
    """Otherwise the other processes of a run would wait for ever."""
    learner = dinov2(study)
    losses = learner(crops(masked=False), 0)
    losses["loss"].backward()
    assert losses["ibot"].item() == 0
    assert all(p.grad is not None for p in learner.student.parameters())


def test_continuing_takes_everything(study: Study) -> None:
    first, second = dinov2(study).student, RadDinoModel(study.encoders["rad-dino"])
    with torch.no_grad():
        first.mask_token.fill_(3)
        first.head.last_layer.weight_g.fill_(2)
    content = EncoderFile(study.encoders["rad-dino"], first.state_dict())
    continue_from(content, second)
    learner = Dinov2Learner(second, study.arms["rad-dino"].recipe)
    for model in (learner.student, learner.teacher):
        assert (model.head.last_layer.weight_g == 2).all()
        torch.testing.assert_close(dict(model.state_dict()), dict(first.state_dict()))


def test_continuing_without_the_head_is_refused(study: Study) -> None:
    encoder = study.encoders["rad-dino"]
    model = RadDinoModel(encoder)
    tensors = {k: v for k, v in model.state_dict().items() if not k.startswith("head.")}
    with pytest.raises(PretrainError, match=r"8 weights.*head\.last_layer\.weight_g"):
        continue_from(EncoderFile(encoder, tensors), model)
    with pytest.raises(PretrainError, match="failed run"):
        continue_from(EncoderFile(encoder), model)


def gradients(learner: Learner) -> dict[str, torch.Tensor]:
    return {
        name: parameter.grad.clone()
        for name, parameter in learner.named_parameters()
        if parameter.grad is not None
    }


def with_recipe(archive: Archive, arm: str, drop_path: float, **values: object) -> Job:
    """A job of an arm with other numbers of its optimiser."""
    study = archive.study.model_dump(mode="json")
    study["arms"][arm]["recipe"]["optimiser"] |= values
    encoder = study["arms"][arm]["encoder"]
    study["encoders"][encoder]["image"]["drop_path"] = drop_path
    return job(archive, arm, study=parse_study(study))


@pytest.mark.parametrize(("arm", "passes"), [("mi2-both", 2), ("mi2-both", 4), ("mi2-siglip", 2)])
def test_passes_follow_the_contrastive_gradient(
    arm: str, passes: int, archive: Archive, tmp_path: Path
) -> None:
    whole, batches = trainer_of(with_recipe(archive, arm, 0.0), tmp_path)
    batch = batches[1]
    losses = whole.backward(batch)
    cut, cut_batches = trainer_of(with_recipe(archive, arm, 0.0, passes=passes), tmp_path)
    torch.testing.assert_close(cut_batches[1], batch)
    again = cut.backward(batch)
    torch.testing.assert_close(again["loss"], losses["loss"])
    expected = gradients(whole.learner)
    found = gradients(cut.learner)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-3)


def test_logits_start_anew_after_another_loss(archive: Archive, tmp_path: Path) -> None:
    """A softmax's temperature says nothing about a sigmoid's, and vice versa."""
    starts = {"mi2-both": (math.log(1 / 0.07), None), "mi2-siglip": (math.log(10), -10)}
    for first, second in (("mi2-both", "mi2-siglip"), ("mi2-siglip", "mi2-both")):
        learner, batches = batches_of(job(archive, first), tmp_path)
        with torch.no_grad():
            for parameter in learner.average.logits():  # type: ignore[operator, union-attr]
                parameter.fill_(3.0)
        base = tmp_path / "base.safetensors"
        tokenizer = batches._tokenizer.json  # type: ignore[attr-defined]
        save_encoder(base, EncoderFile(archive.study.encoders["mi2"], learner.encoder(), tokenizer))
        for arm, logits in (
            (first, (3.0, 3.0 if first == "mi2-siglip" else None)),
            (second, starts[second]),
        ):
            kept = batches_of(job(archive, arm, base=base), tmp_path)[0].encoder()
            assert kept["logit_scale"].item() == pytest.approx(logits[0])
            assert kept.get("logit_bias") == (
                None if logits[1] is None else torch.tensor(logits[1])
            )
            torch.testing.assert_close(
                kept["projection.image"], learner.encoder()["projection.image"]
            )


def test_passes_repeat_their_stochastic_depth(archive: Archive, tmp_path: Path) -> None:
    """Otherwise gradients would belong to other embeddings than those that were compared."""
    trainer, batches = trainer_of(with_recipe(archive, "mi2-both", 0.5, passes=2), tmp_path)
    learner = trainer.learner
    assert isinstance(learner, UniclLearner)
    embed, seen = learner._embed, []

    def recorded(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        u, v = embed(batch)
        seen.append(u.detach().clone())
        return u, v

    learner._embed = recorded  # type: ignore[method-assign]
    trainer.backward(batches[0])
    first, second = torch.stack(seen[:2]), torch.stack(seen[2:])
    torch.testing.assert_close(first, second)
    trainer.progress.step = 1
    trainer.backward(batches[0])
    assert (torch.stack(seen[4:6]) - first).abs().max() > 1e-4


def test_passes_of_dinov2_are_averaged(archive: Archive, tmp_path: Path) -> None:
    trainer, batches = trainer_of(with_recipe(archive, "rad-dino", 0.0, passes=2), tmp_path)
    batch, learner = batches[1], trainer.learner
    losses = trainer.backward(batch)
    found = gradients(learner)
    learner.zero_grad()
    halves = [
        {
            "global": batch["global"].unflatten(0, (2, 8))[:, part].flatten(0, 1),
            "mask": batch["mask"].unflatten(0, (2, 8))[:, part].flatten(0, 1),
            "local": batch["local"].unflatten(0, (2, 8))[:, part].flatten(0, 1),
        }
        for part in (slice(0, 4), slice(4, 8))
    ]
    expected = sum(learner(half, 0)["loss"] for half in halves) / 2
    expected.backward()
    torch.testing.assert_close(losses["loss"], expected.detach())
    for name, gradient in gradients(learner).items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-3)


def test_flops_of_unicl_scale_with_images(archive: Archive, tmp_path: Path) -> None:
    trainer, _ = trainer_of(job(archive, "mi2-both"), tmp_path)
    counted = [flops_per_sample(trainer, pairs(n), n) for n in (2, 4)]
    assert counted[0] == pytest.approx(counted[1], rel=0.02)
    assert gradients(trainer.learner) == {}
    twice, _ = trainer_of(with_recipe(archive, "mi2-both", 0.0, passes=2), tmp_path)
    assert flops_per_sample(twice, pairs(4), 4) == pytest.approx(4 / 3 * counted[1], rel=0.06)


def test_flops_of_a_vit_equal_its_formula(archive: Archive, tmp_path: Path) -> None:
    """Teacher forward, student forward and twice that backward; a block takes 24 D^2 + 4 N D."""
    trainer, _ = trainer_of(with_recipe(archive, "rad-dino", 0.0), tmp_path)
    counted = flops_per_sample(trainer, crops(masked=False), 4)

    def tower(tokens: int, patches: int, images: int) -> float:
        width, rest = 16, 3
        block = tokens * (24 * width**2 + 4 * tokens * width)
        last = tokens * (6 * width**2 + 4 * tokens * width) + 18 * width**2
        return images * (rest * block + last + 2 * 64 * width * patches)

    head = 2 * (16 * 32 + 32 * 32 + 32 * 16 + 16 * 64)
    wide, local = tower(17, 16, 2), tower(5, 4, 2)
    forward = wide + local + 4 * head
    assert counted == pytest.approx(wide + 2 * head + 3 * forward, rel=0.03)


def test_schedules() -> None:
    rates = [warmup_cosine(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] < 1e-3
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert warmup_cosine(0, 10, 0.0) == 1
    assert [cosine(s, 3, 2.0, 4.0) for s in range(3)] == pytest.approx([2, 3, 4])
    assert cosine(0, 1, 0.9, 1.0) == 0.9
    assert [linear(s, 4, 0.0, 1.0) for s in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert linear(0, 0, 0.0, 1.0) == 1


@pytest.mark.parametrize("arm", ["mi2-both", "rad-dino"])
def test_bf16_keeps_float32_masters(arm: str, archive: Archive, tmp_path: Path) -> None:
    """In bf16, weights and averages would not move at these rates."""
    study = archive.study.model_dump(mode="json")
    study["compute"]["precision"] = "bf16"
    study["arms"][arm]["recipe"]["optimiser"]["lr"] = 1e-5
    trainer, batches = trainer_of(job(archive, arm, study=parse_study(study)), tmp_path)
    before = {name: value.clone() for name, value in trainer.learner.encoder().items()}
    losses = trainer._step(batches[0])
    trainer.progress.step = 6
    trainer._step(batches[1])
    assert all(torch.isfinite(loss) for loss in losses.values())
    after = trainer.learner.encoder()
    assert {value.dtype for value in after.values()} == {torch.float32}
    largest = {name: (after[name] - value).abs().max().item() for name, value in before.items()}
    towers = [change for name, change in largest.items() if name.startswith("image.")]
    assert min(towers) > 0
    assert max(towers) < 1e-4
