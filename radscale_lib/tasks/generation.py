"""Report generation from a frozen encoder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, NamedTuple

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
from radscale_lib.tasks.training import search, task_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from radscale_lib.tasks.llama import Llama


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
    validation = None
    if task.decoder.searches:
        validation = select(reported, "validation", task.decoder.validation_images)
        require(validation, name, "validation", f"a report section {task.section!r}")
    generator, tokenizer, choice = _train(task, frozen, training, validation, seed, name)

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
    table = written(frozen.over(test), test)
    return Predicted(table, choices={part: choice} if choice else {}, elsewhere=elsewhere)


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table."""
    ids = (HEAD, "image_id", "patient_id")
    return pl.Schema(dict.fromkeys((*ids, "reference", "generated"), pl.String()))


def pooled(features: Features, tokens: int) -> Tensor:
    """Average the deepest grid of a batch to at most `tokens` cells: [B, C, side, side]."""
    grid = features.levels[-1]
    return F.adaptive_avg_pool2d(grid, min(isqrt(tokens), grid.shape[-1]))


def visual_tokens(grid: Tensor, global_: Tensor) -> Tensor:
    """Visual tokens of a batch: each cell has its own channels and those of the global embedding.

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
    def encode(cls, reports: Sequence[str], tokenizer: ReportTokenizer, longest: int) -> _Texts:
        rows = [tokenizer.encode(report.strip(), longest) for report in reports]
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.full((len(rows), int(lengths.max())), tokenizer.end)
        for target, row in zip(ids, rows, strict=True):
            target[: len(row)] = torch.tensor(row)
        return cls(ids, lengths)


class _Reported(NamedTuple):
    """The features for visual tokens, and the reports."""

    grids: Grids
    texts: _Texts

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of the given images, and their features as stored."""
        return images, self.grids.read(images)

    def loss(self, generator: ReportGenerator, batch: tuple[Tensor, Tensor]) -> Tensor:
        """A generator's loss on what was read."""
        images, raw = batch
        lengths = self.texts.lengths[images]
        ids = self.texts.ids[images, : int(lengths.max())].to(self.grids.device)
        visual = visual_tokens(*self.grids.decode(raw))
        return generator.loss(visual, ids, lengths.to(self.grids.device))


def _train(
    task: Generation,
    frozen: FrozenEncoder,
    training: pl.DataFrame,
    validation: pl.DataFrame | None,
    seed: int,
    name: str,
) -> tuple[ReportGenerator, ReportTokenizer, str]:
    """Train the generator; return it with its tokenizer and what was chosen on validation."""

    def chosen(features: Features) -> list[Tensor]:
        return [pooled(features, task.visual_tokens), features.global_]

    reports = training[task.section].to_list()
    tokenizer = _tokenizer(task, reports)
    with ExitStack() as stack:

        def read_from(rows: pl.DataFrame, what: str) -> _Reported:
            grids = Grids(frozen.over(rows), f"{name}: {what} features", chosen)
            stack.enter_context(grids)
            texts = rows[task.section].to_list()
            return _Reported(grids, _Texts.encode(texts, tokenizer, task.max_tokens))

        learnt = read_from(training, "training")
        checked = None if validation is None else read_from(validation, "validation")
        width = sum(shape[0] for shape in learnt.grids.shapes)

        def make() -> ReportGenerator:
            torch.manual_seed(seed)
            return ReportGenerator(_model(task, tokenizer), width).to(learnt.grids.device)

        @torch.no_grad()
        def validate(generator: ReportGenerator) -> float:
            assert checked is not None
            count, total = len(checked.grids), 0.0
            for images in torch.split(torch.arange(count), task.decoder.batch):
                total += len(images) * float(checked.loss(generator, checked.read(images)))
            return total / count

        generator, _, choice = search(
            make, learnt.loss, len(learnt.grids), task.decoder, seed, f"{name}: decoder",
            learnt.read, None if checked is None else validate,
        )  # fmt: skip
    return generator, tokenizer, choice


def _tokenizer(task: Generation, reports: Sequence[str]) -> ReportTokenizer:
    if isinstance(task.language_model, LanguageModel):
        return learn_tokenizer(reports, task.language_model.vocabulary)
    return released_tokenizer(task.language_model, trust_remote_code=task.trust_remote_code)


def _model(task: Generation, tokenizer: ReportTokenizer) -> Llama | PreTrainedModel:
    """The language model with its initial weights."""
    if isinstance(task.language_model, LanguageModel):
        return scratch_model(task.language_model, len(tokenizer))
    trusted = task.trust_remote_code
    return released_model(task.language_model, task.lora_rank, trust_remote_code=trusted)


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
