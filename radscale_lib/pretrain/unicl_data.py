"""Batches of image-text pairs."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from radscale_lib.encoders.text import TextTokenizer
from radscale_lib.pretrain.data import Grey, ImageSource, Loaded, Share
from radscale_lib.pretrain.randomness import Purpose, generator
from radscale_lib.pretrain.rows import Rows
from radscale_lib.pretrain.texts import Pairing
from radscale_lib.pretrain.views import random_view
from radscale_lib.study.encoders.mi2 import Davit
from radscale_lib.study.paradigms.unicl import Unicl


class UniclBatches(Dataset[dict[str, Tensor]]):
    """Item `step`: `images` uint8 [B, 1, S, S], `tokens` int64 [B, L] and `ids` int64 [B]."""

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

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        images = self._source.step(self._share, step)
        views = [self._view(loaded) for loaded in images]
        pairs = [self._text(loaded) for loaded in images]
        return {
            "images": torch.from_numpy(np.stack(views)).unsqueeze(1),
            "tokens": self._tokenizer([text for text, _ in pairs]),
            "ids": torch.tensor([number for _, number in pairs]),
        }

    def _view(self, loaded: Loaded) -> Grey:
        grey = sum(self._image.mean) / 3
        rng = generator(self._share.seed, Purpose.AUGMENT, loaded.epoch, loaded.key)
        return random_view(rng, loaded.pixels, self._image.image_size, self._recipe, grey)

    def _text(self, loaded: Loaded) -> tuple[str, int]:
        rng = generator(self._share.seed, Purpose.TEXT, loaded.epoch, loaded.key)
        return self._pairing.draw(rng, loaded.table_row, self._rows[loaded.table_row])
