"""The order of samples, shares of a batch, and keyed generators."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.pretrain.data import Share
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.randomness import Purpose, generator
from radscale_lib.pretrain.sampler import permutation, samples


@given(images=st.integers(1, 40), start=st.integers(0, 100), count=st.integers(0, 60))
def test_a_stretch_of_the_order(images: int, start: int, count: int) -> None:
    whole = samples(3, images, 0, start + count)
    assert samples(3, images, start, start + count) == whole[start:]
    assert all(sample.epoch == place // images for place, sample in enumerate(whole))


@given(images=st.integers(1, 30), epochs=st.integers(1, 4), seed=st.integers(0, 50))
def test_every_image_once_an_epoch(images: int, epochs: int, seed: int) -> None:
    seen = Counter(sample.table_row for sample in samples(seed, images, 0, images * epochs))
    assert seen == dict.fromkeys(range(images), epochs)


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = {tuple(permutation(seed, epoch, 30)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_first_images_are_uniform() -> None:
    firsts = Counter(int(permutation(seed, 0, 4)[0]) for seed in range(800))
    assert all(abs(count - 200) < 5 * 200**0.5 for count in firsts.values())


@given(
    world=st.sampled_from([1, 2, 4]),
    passes=st.sampled_from([1, 2, 4]),
    step=st.integers(0, 9),
    images=st.integers(1, 20),
)
def test_a_pass_holds_the_same_images_on_any_number_of_devices(
    world: int, passes: int, step: int, images: int
) -> None:
    together = Share(1, 16, images).of_step(step)
    assert together == samples(1, images, 16 * step, 16 * step + 16)
    shares = [Share(1, 16, images, rank, world, passes).of_step(step) for rank in range(world)]
    size = 16 // world // passes
    by_pass = [
        sample
        for number in range(passes)
        for share in shares
        for sample in share[number * size : (number + 1) * size]
    ]
    assert by_pass == together


def test_a_batch_that_cannot_be_shared() -> None:
    with pytest.raises(PretrainError, match="by 3 devices in 2 passes: use 12"):
        Share(0, 8, 10, 0, 3, 2)


def test_streams_are_distinct() -> None:
    keys = [
        (seed, purpose, *position)
        for seed in (0, 1)
        for purpose in Purpose
        for position in ((), (1,), (0, 1), (0, 0, 1), (1, 1, 1))
    ]
    draws = {tuple(generator(*key).integers(0, 2**62, 4)) for key in keys}
    assert len(draws) == len(keys)
    again = generator(1, Purpose.MASK, 0, 1).random(1000)
    np.testing.assert_array_equal(again, generator(1, Purpose.MASK, 0, 1).random(1000))


def test_orders_are_what_they_were() -> None:
    """Golden values: Philox is fixed by its definition, so no library may change them."""
    assert permutation(0, 0, 12).tolist() == [5, 3, 7, 8, 11, 2, 4, 1, 10, 0, 6, 9]
    assert permutation(7, 3, 12).tolist() == [1, 7, 9, 2, 6, 4, 0, 11, 10, 8, 3, 5]
    assert permutation(1, 0, 3_500_000)[[0, 1, 2_000_000, -1]].tolist() == [
        1949160,
        2562004,
        1764393,
        932061,
    ]
