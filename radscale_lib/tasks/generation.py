"""Report generation from a frozen encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import polars as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from radscale_lib.encoders.features import Features
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.generation import Generation, LanguageModel
from radscale_lib.tasks.frozen import FrozenEncoder
from radscale_lib.tasks.generator import ReportGenerator, released_model, scratch_model
from radscale_lib.tasks.grids import Grids
from radscale_lib.tasks.images import require, select, with_section
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.predictions import HEAD, Predicted
from radscale_lib.tasks.tokens import ReportTokenizer, learn_tokenizer, released_tokenizer
from radscale_lib.tasks.training import task_seed, train


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    """Train the generator on the train split's reports, and write those of the test split.

    Args:
        study: the study.
        name: the task's name.
        part: the generator's name.
        inputs: the run's files; the pooled features are not read.

    Returns:
        The generated and reference report of each test image.

    Raises:
        NoCasesError: if no train or test image has this report section.
        NotFiniteError: if features or weights are not finite.
    """
    task = _task(study, name)
    reported = with_section(inputs, task.section)
    training = select(reported, "train", task.decoder.train_images)
    test = select(reported, "test", task.decoder.test_images)
    require(training, name, "train", f"a report section {task.section!r}")
    require(test, name, "test", f"a report section {task.section!r}")

    seed = task_seed(study.evaluation.seed, name)
    frozen = FrozenEncoder(inputs, training, study.compute, task.decoder.batch)
    generator, tokenizer = _train(task, frozen, training[task.section].to_list(), seed, name)

    def written(frozen: FrozenEncoder, test: pl.DataFrame) -> pl.DataFrame:
        return test.select(
            pl.lit(part).alias(HEAD),
            "image_id",
            "patient_id",
            pl.Series("reference", [text.strip() for text in test[task.section]]),
            pl.Series("generated", _write(generator, tokenizer, frozen, task, name)),
        )

    elsewhere = {}
    for archive, files in inputs.elsewhere.items():
        theirs = select(with_section(files, task.section), "test", task.decoder.test_images)
        if name in study.tasks_at(archive) and len(theirs):
            elsewhere[archive] = written(frozen.at(files, theirs), theirs)
    return Predicted(written(frozen.over(test), test), elsewhere=elsewhere)


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table."""
    ids = (HEAD, "image_id", "patient_id")
    return pl.Schema(dict.fromkeys((*ids, "reference", "generated"), pl.String()))


def pooled(features: Features, tokens: int) -> Tensor:
    """The deepest grid of a batch, averaged to at most `tokens` cells: [B, C, side, side]."""
    grid = features.levels[-1]
    return F.adaptive_avg_pool2d(grid, min(isqrt(tokens), grid.shape[-1]))


def visual_tokens(grid: Tensor, global_: Tensor) -> Tensor:
    """Visual tokens of a batch: each cell carries its channels and those of the global embedding.

    Args:
        grid: [B, C, side, side].
        global_: [B, D].

    Returns:
        [B, side x side, C + D].
    """
    cells = grid.flatten(2).transpose(1, 2)
    everywhere = global_[:, None].expand(-1, cells.shape[1], -1)
    return torch.cat([cells, everywhere], 2)


def _task(study: Study, name: str) -> Generation:
    task = study.evaluation.tasks[name]
    assert isinstance(task, Generation)
    return task


@dataclass(frozen=True)
class _Texts:
    """Reports as padded ids [N, T] with their lengths [N]."""

    ids: Tensor
    lengths: Tensor

    @classmethod
    def encode(cls, reports: Sequence[str], tokenizer: ReportTokenizer, longest: int) -> "_Texts":
        rows = [tokenizer.encode(report.strip(), longest) for report in reports]
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.full((len(rows), int(lengths.max())), tokenizer.end)
        for target, row in zip(ids, rows, strict=True):
            target[: len(row)] = torch.tensor(row)
        return cls(ids, lengths)


def _train(
    task: Generation, frozen: FrozenEncoder, reports: Sequence[str], seed: int, name: str
) -> tuple[ReportGenerator, ReportTokenizer]:
    def chosen(features: Features) -> list[Tensor]:
        return [pooled(features, task.visual_tokens), features.global_]

    with Grids(frozen, f"{name}: training features", chosen) as grids:
        return _fit(task, grids, reports, seed, name)


def _fit(
    task: Generation, grids: Grids, reports: Sequence[str], seed: int, name: str
) -> tuple[ReportGenerator, ReportTokenizer]:
    width = sum(shape[0] for shape in grids.shapes)
    torch.manual_seed(seed)
    if isinstance(task.language_model, LanguageModel):
        tokenizer = learn_tokenizer(reports, task.language_model.vocabulary)
        generator = ReportGenerator(scratch_model(task.language_model, len(tokenizer)), width)
    else:
        folder, trusted = task.language_model, task.trust_remote_code
        tokenizer = released_tokenizer(folder, trust_remote_code=trusted)
        model = released_model(folder, task.lora_rank, trust_remote_code=trusted)
        generator = ReportGenerator(model, width)
    generator.to(grids.device)
    texts = _Texts.encode(reports, tokenizer, task.max_tokens)

    def read(images: Tensor) -> tuple[Tensor, Tensor]:
        return images, grids.read(images)

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, raw = batch
        lengths = texts.lengths[images]
        ids = texts.ids[images, : int(lengths.max())].to(grids.device)
        visual = visual_tokens(*grids.decode(raw))
        return generator.loss(visual, ids, lengths.to(grids.device))

    train(generator, loss, len(grids), task.decoder, seed, f"{name}: decoder", read)
    return generator, tokenizer


def _write(
    generator: ReportGenerator,
    tokenizer: ReportTokenizer,
    frozen: FrozenEncoder,
    task: Generation,
    name: str,
) -> list[str]:
    texts: list[str] = []
    for _, features in frozen.batches(f"{name}: test reports"):
        visual = visual_tokens(pooled(features, task.visual_tokens), features.global_)
        written = generator.write(visual, tokenizer.start, tokenizer.end, task.max_tokens)
        texts += [tokenizer.decode(ids) for ids in written]
    return texts
