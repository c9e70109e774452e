"""Decoders learn what can be learnt, in the same way each time."""

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from radscale_lib.encoders.features import Features
from radscale_lib.study.decoders import DECODERS
from radscale_lib.study.tasks import Decoder
from radscale_lib.study.tasks.base import CHECKS
from radscale_lib.study.tasks.generation import LanguageModel
from radscale_lib.tasks.decoders.base import MaskDecoder, mask_loss, pool, resize
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.generation import pooled, visual_tokens
from radscale_lib.tasks.generator import ReportGenerator, released_model, scratch_model
from radscale_lib.tasks.llama import Llama
from radscale_lib.tasks.tokens import learn_tokenizer
from radscale_lib.tasks.training import ahead, batches, one_cycle, search, task_seed, train

torch.set_num_threads(1)


@pytest.mark.parametrize(("side", "size"), [(2, 16), (8, 16), (7, 7), (9, 4), (37, 64)])
def test_resize_equals_bilinear_interpolation(side, size):
    maps = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(maps, (size, size), mode="bilinear", align_corners=False)
    assert torch.allclose(resize(maps, size), expected, atol=1e-5)


@pytest.mark.parametrize(("side", "size"), [(7, 3), (6, 6), (8, 2), (2, 6), (37, 1)])
def test_pooling_equals_adaptive_averages(side, size):
    maps = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(pool(maps, size), F.adaptive_avg_pool2d(maps, size), atol=1e-6)


def _vertical_lines(images, seed):
    """Lines at random columns: masks [N, 1, 32, 32] and four grids that hold them folded."""
    random = np.random.default_rng(seed)
    masks = torch.zeros(images, 1, 32, 32)
    for mask in masks[: images * 3 // 4]:
        column = random.integers(2, 30)
        mask[0, :, column : column + 2] = 1
    folded = F.pixel_unshuffle(masks, 4)
    noise = torch.randn(folded.shape, generator=torch.Generator().manual_seed(seed))
    fine = folded + 0.3 * noise
    return masks, [fine, *(F.avg_pool2d(fine, 2**n) for n in (1, 2, 3))]


def _decoder(kind, channels, grid, classes, size):
    settings = {} if kind == "linear" else {"width": 16}
    return MaskDecoder(DECODERS[kind](kind=kind, **settings), channels, grid, classes, size)


@pytest.mark.parametrize("equal_grids", [False, True])
@pytest.mark.parametrize("kind", DECODERS)
def test_decoders_learn_lines(kind, equal_grids):
    masks, levels = _vertical_lines(96, 0)
    if equal_grids:
        levels = [levels[0]] * 4
    torch.manual_seed(0)
    decoder = _decoder(kind, [16] * 4, 8, 1, 32)

    def loss(images):
        return mask_loss(decoder([level[images] for level in levels]), masks[images])

    settings = Decoder(steps=60, batch=16, lr=2e-2)
    train(decoder, loss, 64, settings, 0, "lines", lambda images: images)
    with torch.no_grad():
        predicted = decoder([level[64:] for level in levels]).sigmoid().numpy() > 0.5
    true = masks[64:].numpy() > 0
    assert 2 * (predicted & true).sum() / (predicted.sum() + true.sum()) > 0.9


@pytest.mark.parametrize("kind", DECODERS)
def test_output_size_need_not_be_a_multiple_of_the_grid(kind):
    decoder = _decoder(kind, [4] * 4, 37, 2, 50)
    assert decoder([torch.zeros(2, 4, 37, 37) for _ in range(4)]).shape == (2, 2, 50, 50)


def test_a_linear_decoder_is_linear():
    """Logits of a mean of features are the mean of the logits, once standardised."""
    decoder = _decoder("linear", [3, 4, 5, 6], 8, 2, 16).eval()
    one, other = (
        [torch.randn(1, c, n, n) for c, n in ((3, 8), (4, 4), (5, 2), (6, 2))] for _ in range(2)
    )
    middle = [(a + b) / 2 for a, b in zip(one, other, strict=True)]
    expected = (decoder(one) + decoder(other)) / 2
    assert torch.allclose(decoder(middle), expected, atol=1e-5)


def test_batches_are_read_in_order_ahead_of_their_use():
    seen = []

    def read(batch):
        seen.append(int(batch))
        return int(batch)

    reading = ahead(map(torch.tensor, range(6)), read)
    assert next(reading) == 0
    assert [0, *reading] == seen == list(range(6))

    def fails(batch):
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        list(ahead(map(torch.tensor, range(6)), fails))


def test_mask_loss_is_its_formula():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 2, 4, 4, generator=generator)
    masks = (torch.rand(3, 2, 4, 4, generator=generator) < 0.3).float()
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    t = masks.double().numpy()
    cross_entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    classes = [
        (2 * (p[:, c] * t[:, c]).sum() + 1) / (p[:, c].sum() + t[:, c].sum() + 1) for c in (0, 1)
    ]
    expected = cross_entropy + 1 - np.mean(classes)
    assert mask_loss(logits, masks).item() == pytest.approx(expected, rel=1e-5)


REPORTS = ["No effusion.", "Large right effusion.", "Endotracheal tube in place. No effusion."]


def _generator(width=16):
    tokenizer = learn_tokenizer(REPORTS, 300)
    torch.manual_seed(0)
    model = scratch_model(LanguageModel(width=width, layers=1, heads=2), len(tokenizer))
    return ReportGenerator(model, 3), tokenizer


def _padded(tokenizer, chosen):
    rows = [tokenizer.encode(REPORTS[index], 40) for index in chosen]
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.full((len(rows), int(lengths.max())), tokenizer.end)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.tensor(row)
    return ids, lengths


def test_generator_writes_the_report_that_belongs_to_the_image():
    generator, tokenizer = _generator(32)
    kinds = torch.arange(48) % 3
    visual = F.one_hot(kinds, 3).float()[:, None].expand(-1, 4, -1)
    ids, lengths = _padded(tokenizer, kinds.tolist())

    def loss(images):
        return generator.loss(visual[images], ids[images], lengths[images])

    settings = Decoder(steps=80, batch=12, lr=2e-2)
    train(generator, loss, 48, settings, 0, "reports", lambda images: images)
    written = generator.write(visual[:3], tokenizer.start, tokenizer.end, 40)
    assert [tokenizer.decode(row) for row in written] == REPORTS


def test_cached_writing_equals_writing_without_a_cache():
    generator, tokenizer = _generator()
    generator.eval()
    visual = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2))
    written = generator.write(visual, tokenizer.start, tokenizer.end, 8)
    for image, tokens in enumerate(written):
        ids = [tokenizer.start]
        for token in tokens:
            hidden = generator._embed(visual[[image]], torch.tensor([ids]))
            logits = generator.language_model(inputs_embeds=hidden, use_cache=False).logits
            assert int(logits[0, -1].argmax()) == token
            ids.append(token)
    assert max(map(len, written)) <= 8


def test_loss_counts_text_tokens_only_and_ignores_padding():
    generator, tokenizer = _generator()
    generator.eval()
    visual = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(3))
    ids, lengths = _padded(tokenizer, [0, 2])
    hidden = generator._embed(visual, ids)
    total, count = 0.0, 0
    for image in range(2):
        length = int(lengths[image])
        logits = generator.language_model(
            inputs_embeds=hidden[[image], : 4 + length], use_cache=False
        ).logits[0]
        loss = F.cross_entropy(logits[4 : 4 + length - 1], ids[image, 1:length], reduction="sum")
        total, count = total + loss.item(), count + length - 1
    assert generator.loss(visual, ids, lengths).item() == pytest.approx(total / count, rel=1e-4)


def test_visual_tokens_pool_the_deepest_grid():
    grid = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    features = Features(torch.ones(2, 5), (grid, grid, grid, grid))
    tokens = visual_tokens(pooled(features, 16), features.global_)
    assert tokens.shape == (2, 16, 8)
    assert torch.equal(tokens[1, 5, :3], grid[1, :, 2:4, 2:4].mean((1, 2)))
    small = Features(torch.ones(2, 5), (grid, grid, grid, grid[..., :2, :2]))
    assert pooled(small, 16).shape == (2, 3, 2, 2)


def test_tokenizer_keeps_any_text_and_is_the_same_each_time():
    first, second = (learn_tokenizer(REPORTS * 5, 300) for _ in range(2))
    assert first.tokenizer.to_str() == second.tokenizer.to_str()
    text = "Sonde (≈ 3,5 cm): ça va? 胸部"
    assert first.decode(first.encode(text, 200)[1:-1]) == text
    assert first.encode(text, 5)[0] == first.start
    assert len(first.encode(text, 5)) == 6
    assert first.encode("No", 5)[-1] == first.end


def _transformers_llama(vocabulary, width, layers, heads):
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=64,
            tie_word_embeddings=True,
        )
    )


def test_llama_equals_that_of_transformers_to_the_bit():
    models = []
    for make in (Llama, _transformers_llama):
        torch.manual_seed(5)
        models.append(make(300, 32, 2, 4))
        models[-1].next_draw = torch.rand(1)
    for own, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(own, other)
    assert torch.equal(*(model.next_draw for model in models))
    inputs = torch.randn(3, 12, 32)
    padded = torch.ones(3, 12, dtype=torch.int64)
    padded[1, 8:] = padded[2, 10:] = 0
    for mask, wanted in product((padded, torch.ones_like(padded)), (0, 9)):
        logits = []
        for model in models:
            model.zero_grad()
            given = {"inputs_embeds": inputs, "attention_mask": mask, "logits_to_keep": wanted}
            logits.append(model(**given, use_cache=False).logits)
            logits[-1].square().sum().backward()
        assert torch.equal(*logits)
        for own, other in zip(*(model.parameters() for model in models), strict=True):
            if wanted:  # in sums over fewer places
                torch.testing.assert_close(own.grad, other.grad, rtol=1e-5, atol=1e-7)
            else:
                assert torch.equal(own.grad, other.grad)
    written = []
    for model in models:
        hidden, cache, rows = inputs, None, []
        with torch.no_grad():
            for _ in range(4):
                output = model(
                    inputs_embeds=hidden, past_key_values=cache, use_cache=True, logits_to_keep=1
                )
                cache = output.past_key_values
                rows.append(output.logits)
                hidden = model.get_input_embeddings()(output.logits[:, -1].argmax(-1)[:, None])
        written.append(torch.cat(rows, 1))
    assert torch.equal(*written)


@pytest.mark.parametrize("steps", [1, 2, 4, 9, 10, 11, 37, 100])
def test_learning_rates_are_those_of_torch(steps):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([weight], lr=3e-4)
    share = 0.2 if steps == 10 else 0.1
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-4, steps, pct_start=share, cycle_momentum=False
    )
    for step in range(steps):
        assert one_cycle(step, steps, 3e-4) == optimiser.param_groups[0]["lr"]
        optimiser.step()
        schedule.step()


def test_released_model_trains_the_projector_only_and_names_what_is_missing(tmp_path):
    _transformers_llama(300, 16, 1, 2).save_pretrained(tmp_path)
    released = ReportGenerator(released_model(tmp_path, 0), 3)
    trained = {name for name, p in released.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("projector.") for name in trained)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        released_model(tmp_path / "absent", 0)


def test_lora_names_the_package_it_lacks(tmp_path, monkeypatch):
    _transformers_llama(300, 16, 1, 2).save_pretrained(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ModuleNotFoundError, match="peft"):
        released_model(tmp_path, 4)


def test_batches_pass_over_all_images_before_repeating_one():
    drawn = torch.cat(list(batches(10, 4, 5, seed=1)))
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))
    again = torch.cat(list(batches(10, 4, 5, seed=1)))
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, torch.cat(list(batches(10, 4, 5, seed=2))))
    assert all(len(batch) == 3 for batch in batches(3, 4, 5, seed=0))


def test_task_seeds_are_unrelated():
    assert len({task_seed(seed, task) for seed in range(3) for task in "abc"}) == 9
    assert task_seed(0, "reports") == task_seed(0, "reports")


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 20])
def test_any_number_of_steps_can_be_trained(steps):
    model = torch.nn.Linear(2, 1)

    def loss(images):
        return model(torch.ones(len(images), 2)).sum()

    train(model, loss, 4, Decoder(steps=steps, batch=2, lr=1.0), 0, "x", lambda images: images)
    assert torch.isfinite(model.weight).all()


LINE = torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
NOISE = torch.randn(40, 1, generator=torch.Generator().manual_seed(4))


def searched(lr, patience=None, steps=40, noise=0.0):
    """A line of six numbers, found with some rates: model, rate, words, and losses that were seen.

    Learnt from the first 12, and chosen on the others.
    """
    targets = LINE.sum(1, keepdim=True) + noise * NOISE
    losses = []

    def make():
        torch.manual_seed(1)
        return torch.nn.Linear(6, 1)

    def loss(model, images):
        return F.mse_loss(model(LINE[images]), targets[images])

    @torch.no_grad()
    def validate(model):
        assert not model.training
        losses.append(float(loss(model, torch.arange(12, 40))))
        return losses[-1]

    decoder = Decoder(steps=steps, batch=8, lr=lr, patience=patience)
    found = search(
        make,
        loss,
        12,
        decoder,
        0,
        "x",
        lambda images: images,
        validate if decoder.searches else None,
    )
    return *found, losses, validate


def test_a_rate_is_chosen_by_validation_loss_among_trainings_that_are_alike():
    alone = {rate: searched(rate)[0] for rate in (1e-4, 3e-2, 3e-1)}
    model, rate, words, losses, validate = searched([1e-4, 3e-2, 3e-1])
    assert [validate(each) for each in alone.values()] == losses[:3]
    assert rate == list(alone)[int(np.argmin(losses[:3]))] != 1e-4
    assert torch.equal(model.weight, alone[rate].weight)
    assert words == f"rate {rate:g}" + " (at the edge of what was tried)" * (rate == 3e-1)
    assert searched(3e-2)[1:3] == (3e-2, "")


def test_a_rate_that_diverges_is_not_chosen():
    assert searched([3e-2, 1e38, 1e37])[1] == 3e-2
    with pytest.raises(NotFiniteError, match=r"lower decoder\.lr"):
        searched([1e37, 1e38])


def test_training_ends_early_and_keeps_the_weights_of_least_validation_loss():
    """Of twelve noisy numbers more is learnt by heart than holds of others."""
    model, _, words, losses, validate = searched(3e-1, patience=3, steps=200, noise=3.0)
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < CHECKS and losses[-1] > losses[best]
    assert words.split(" (")[0] == f"steps {10 * (best + 1)}"
    assert validate(model) == losses[best]


@pytest.mark.long
@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize(
    ("channels", "sides"), [((768,) * 4, (37,) * 4), ((256, 512, 1024, 2048), (120, 60, 30, 15))]
)
def test_a_training_step_holds_no_more_than_its_kind_says(kind, channels, sides):
    """At the size of RAD-DINO and MI2, by tensors without numbers."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    section = DECODERS[kind].model_validate({"kind": kind})
    with FakeTensorMode(allow_non_fake_inputs=True):
        decoder = MaskDecoder(section, channels, max(sides), 4, 256).train()
        tracker = MemTracker()
        tracker.track_external(decoder)
        with tracker:
            maps = [torch.randn(32, c, s, s) for c, s in zip(channels, sides, strict=True)]
            mask_loss(decoder(maps), torch.rand(32, 4, 256, 256)).backward()
        peak = max(each["Total"] for each in tracker.get_tracker_snapshot("peak").values())
    share = peak / 4 / sum(level.numel() for level in maps)
    assert section.held / 4 < share <= section.held
