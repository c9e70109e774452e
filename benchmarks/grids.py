"""Compare Dice of decoders trained on 8-bit feature maps with that on float16 maps.

An encoder is trained with a linear decoder on phantom films, so that its maps represent tubes, and
frozen. Then every kind of decoder is trained on both forms of its maps, from the same seeds, and
scored on the same films. The processor time of encoding and of reading a batch is also printed.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from radscale_lib.encoders.features import Features, Tower
from radscale_lib.encoders.prepare import to_input
from radscale_lib.encoders.towers import build
from radscale_lib.phantom import draw_patient, draw_study, render
from radscale_lib.phantom.sites import TUBES
from radscale_lib.study.decoders import DECODERS
from radscale_lib.study.encoders.rad_dino import RadDino, Vit
from radscale_lib.study.tasks.base import Decoder
from radscale_lib.tasks.decoders.base import MaskDecoder, mask_loss
from radscale_lib.tasks.grids import decode, encode
from radscale_lib.tasks.masks import PlacedTube, draw_mask
from radscale_lib.tasks.training import train

SIDE = 64


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and print Dice of both forms for each decoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=900)
    parser.add_argument("--steps", type=int, default=250, help="of the encoder, and of decoders")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    inputs, masks, tower = films(args.films)
    learnt = args.films * 2 // 3
    pretrain(tower, inputs[:learnt], masks[:learnt], args.steps)
    start = time.process_time()
    with torch.no_grad():
        parts = [tower.levels(part) for part in inputs.split(64)]
    encoding = time.process_time() - start
    levels = [torch.cat(maps).half() for maps in zip(*(p.levels for p in parts), strict=True)]
    bytes_ = [encode(level) for level in levels]
    shapes = [tuple(level.shape[1:]) for level in levels]
    start = time.process_time()
    compact = [decode(raw, shape) for raw, shape in zip(bytes_, shapes, strict=True)]
    reading = time.process_time() - start
    print(f"encoding {1e3 * encoding / args.films:.2f} ms a film, reading bytes "
          f"{1e3 * reading / args.films:.3f} ms")  # fmt: skip
    exact = [level.float() for level in levels]
    for kind in DECODERS:
        found = np.array(
            [
                [
                    dice(kind, form, exact, masks, learnt, args.steps, seed)
                    for form in (exact, compact)
                ]
                for seed in range(args.seeds)
            ]
        )
        difference = found[:, 1] - found[:, 0]
        print(f"{kind}: Dice {found[:, 0].mean():.4f} by float16 (deviation over seeds "
              f"{found[:, 0].std(ddof=1):.4f}), {difference.mean():+.4f} by bytes (largest "
              f"{np.abs(difference).max():.4f})")  # fmt: skip


def films(count: int) -> tuple[Tensor, Tensor, Tower]:
    """Films [N, 1, S, S], masks [N, tubes, S, S], and a tower that is not trained."""
    tower = build(
        RadDino(
            kind="rad-dino",
            image=Vit(image_size=SIDE, patch=8, width=64, depth=4, heads=2, drop_path=0.0,
                      layer_scale=1.0),
        )
    )  # fmt: skip
    images, masks = [], np.zeros((count, len(TUBES), SIDE, SIDE), np.float32)
    number = 0
    while len(images) < count:
        study = draw_study(draw_patient(5, "institution", number), 0)
        number += 1
        if study.views[0] == "LL":
            continue
        film = render(study, 0, SIDE)
        square = min(film.grey.shape)
        for index, name in enumerate(TUBES):
            if name in film.polylines:
                tube = PlacedTube([(film.polylines[name] + 0.5) * SIDE / square])
                masks[len(images), index] = draw_mask([tube], (SIDE, SIDE), 0.03 * SIDE)
        images.append((255 * film.grey[:square, :square]).round().astype(np.uint8))
    return to_input(images, tower.encoder), torch.from_numpy(masks), tower


def pretrain(tower: Tower, inputs: Tensor, masks: Tensor, steps: int) -> None:
    """Train the tower with a linear decoder."""
    decoder = decoder_of("linear", tower.levels(inputs[:2]), masks)
    model = torch.nn.ModuleList([tower, decoder])

    def loss(images: Tensor) -> Tensor:
        return mask_loss(decoder(tower.levels(inputs[images]).levels), masks[images])

    settings = Decoder(steps=steps, batch=32, lr=3e-3)
    train(model, loss, len(inputs), settings, 0, "encoder", lambda images: images)


def decoder_of(kind: str, features: Features | Sequence[Tensor], masks: Tensor) -> MaskDecoder:
    """A decoder for the given levels."""
    levels = features.levels if isinstance(features, Features) else features
    channels, grid = [level.shape[1] for level in levels], levels[0].shape[-1]
    width = {} if kind == "linear" else {"width": 32}
    section = DECODERS[kind].model_validate({"kind": kind, **width})
    return MaskDecoder(section, channels, grid, masks.shape[1], SIDE)


def dice(
    kind: str, form: list[Tensor], exact: list[Tensor], masks: Tensor, learnt: int, steps: int,
    seed: int,
) -> float:  # fmt: skip
    """Mean Dice over tubes of a decoder trained on one form of the maps."""
    torch.manual_seed(seed)
    decoder = decoder_of(kind, form, masks)

    def loss(images: Tensor) -> Tensor:
        return mask_loss(decoder([level[images] for level in form]), masks[images])

    settings = Decoder(steps=steps, batch=32, lr=1e-2)
    train(decoder, loss, learnt, settings, seed, f"{kind} {seed}", lambda images: images)
    with torch.no_grad():
        predicted = decoder([level[learnt:] for level in exact]) > 0
    true = masks[learnt:] > 0
    both = (predicted & true).sum((0, 2, 3))
    return float((2 * both / (predicted.sum((0, 2, 3)) + true.sum((0, 2, 3)))).mean())


if __name__ == "__main__":
    main()
