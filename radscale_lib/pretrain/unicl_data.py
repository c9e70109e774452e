"""Batches of image-text pairs."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from radscale_lib.encoders.text import TextTokenizer
from radscale_lib.pretrain.data import ImageSource, Loaded, Share
from radscale_lib.pretrain.randomness import Purpose, generator
from radscale_lib.pretrain.rows import Rows
from radscale_lib.pretrain.texts import Drawn, Pairing, word_columns
from radscale_lib.pretrain.views import random_view
from radscale_lib.shards.codec import Grey
from radscale_lib.study.encoders.mi2 import Davit
from radscale_lib.study.paradigms.unicl import Unicl


class UniclBatches(Dataset[dict[str, Tensor]]):
    """Item `step` has `images` uint8 [B, 1, S, S], `tokens` int64 [B, L] and facts about them.

    These are `study`, `text`, `said`, `by_labels`, `states` and `words` for `losses.pairs.compare`,
    and int64 [B] `section_tokens` and `left_out_tokens`, from `Drawn`.
    """

    def __init__(
        self,
        rows: Rows,
        source: ImageSource,
        pairing: Pairing,
        tokenizer: TextTokenizer,
        image: Davit,
        recipe: Unicl,
        share: Share,
    ) -> None:
        """Pair the images of `source` with the texts of `rows`."""
        self._rows = rows
        self._source = source
        self._pairing = pairing
        self._tokenizer = tokenizer
        self._image = image
        self._recipe = recipe
        self._share = share
        self._study = rows.study

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        images = self._source.step(self._share, step)
        views = [self._view(loaded) for loaded in images]
        drawn = [self._text(loaded) for loaded in images]
        rows = [loaded.table_row for loaded in images]
        batch = {
            "images": torch.from_numpy(np.stack(views)).unsqueeze(1),
            "tokens": self._tokenizer([each.text for each in drawn]),
            "study": torch.from_numpy(self._study[rows]),
            "text": torch.tensor([each.number for each in drawn]),
            "said": torch.tensor([each.said for each in drawn]),
            "by_labels": torch.tensor([each.by_labels for each in drawn]),
            "states": torch.from_numpy(np.stack([self._pairing.states(row) for row in rows])),
            "section_tokens": torch.tensor([each.tokens for each in drawn]),
            "left_out_tokens": torch.tensor([each.left_out for each in drawn]),
        }
        if self._recipe.near_duplicates < 1:
            words = [word_columns(each.text) for each in drawn]
            batch["words"] = torch.from_numpy(np.stack(words))
        return batch

    def _view(self, loaded: Loaded) -> Grey:
        grey = sum(self._image.mean) / 3
        rng = generator(self._share.seed, Purpose.AUGMENT, loaded.epoch, loaded.key)
        return random_view(rng, loaded.pixels, self._image.image_size, self._recipe, grey)

    def _text(self, loaded: Loaded) -> Drawn:
        rng = generator(self._share.seed, Purpose.TEXT, loaded.epoch, loaded.key)
        row = self._rows[loaded.table_row]
        return self._pairing.draw(rng, loaded.table_row, row, self._tokenizer)
