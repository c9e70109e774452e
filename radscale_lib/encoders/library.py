"""Image towers built by libraries: their input, and reading and checking of checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.release import ReleaseError
from radscale_lib.study.encoders.library import LibraryEncoder

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher")
"""Keys under which training codes store weights, preferred ones first."""
PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")
"""Prefixes that compiled and distributed models add to names."""


class LibraryTower(Tower):
    """A library's tower behind our interface: grey films in, four levels and an embedding out.

    Attributes:
        model: the library's own module.
    """

    encoder: LibraryEncoder
    model: Any

    def recompute(self) -> None:
        """Recompute activations in backward passes, as implemented by the library.

        Raises:
            ValueError: if this model cannot.
        """
        model = getattr(self.model, "trunk", self.model)
        try:
            if hasattr(model, "gradient_checkpointing_enable"):
                model.gradient_checkpointing_enable({"use_reentrant": False})
            else:
                model.set_grad_checkpointing()
        except (AssertionError, AttributeError, ValueError):
            super().recompute()

    def _normalised(self, images: Tensor) -> Tensor:
        """[B, 1, S, S] -> [B, 3, S, S]: the grey channel, normalised for each input channel."""
        known = self.encoder.known_input
        assert known is not None
        mean, std = (images.new_tensor(each).view(3, 1, 1) for each in (known.mean, known.std))
        return (images - mean) / std


def quarters(depth: int) -> list[int]:
    """Four of `depth` blocks, counted from 0: at a quarter, half, three quarters and the end."""
    return [-(-depth * quarter // 4) - 1 for quarter in range(1, 5)]


def read_state_dict(path: Path, *, headers_only: bool = False) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, from safetensors or a file saved by torch.

    Only weights are read from a pickle; no code in it is run.

    Args:
        path: the file.
        headers_only: read names, shapes and types only, on torch's device `meta`.

    Raises:
        ReleaseError: if the file is missing, unreadable, or holds anything other than tensors.
    """
    if not path.is_file():
        raise ReleaseError(f"{path}: no such file: give the file of the weights")
    device = "meta" if headers_only else "cpu"
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if headers_only:
                return {name: _header(file.get_slice(name)) for name in names}
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        if path.suffix == ".safetensors":
            raise ReleaseError(f"{path}: not a safetensors file: {error}") from None
    try:
        content = torch.load(path, map_location=device, weights_only=True, mmap=not headers_only)
    except (RuntimeError, UnpicklingError, ValueError, EOFError, KeyError) as error:
        kind = type(error).__name__
        raise ReleaseError(
            f"{path}: neither safetensors nor weights that torch reads without running code "
            f"({kind}): convert it to safetensors where it was made"
        ) from None
    return unwrapped(path, content)


def unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    """The weights in the content saved by a training code.

    Raises:
        ReleaseError: if there are none.
    """
    if isinstance(content, Mapping):
        key = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        content = content[key] if key else content
    found = {
        name: value
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not found:
        raise ReleaseError(f"{path}: no tensors by name in it: give a state dict")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _header(part: Any) -> Tensor:
    whole = ("I", "U", "B")
    kind = torch.int64 if part.get_dtype().startswith(whole) else torch.float32
    if part.get_dtype() == "BF16":
        kind = torch.bfloat16
    return torch.empty(part.get_shape(), dtype=kind, device="meta")


def check_weights(where: str, model: nn.Module, given: Mapping[str, Tensor]) -> None:
    """Check that weights match a model, and that they are finite.

    Args:
        where: the source of the weights, for messages.
        model: a model of the architecture.
        given: the weights under the model's names.

    Raises:
        ReleaseError: naming tensors that are missing, unknown, of another shape or kind, or not
            finite.
    """
    own = model.state_dict()
    wrong = [f"{name} (missing)" for name in own if name not in given]
    wrong += [f"{name} (unknown)" for name in given if name not in own]
    for name in own.keys() & given.keys():
        if own[name].shape != given[name].shape:
            shapes = tuple(given[name].shape), tuple(own[name].shape)
            wrong.append(f"{name} ({shapes[0]}, where the model has {shapes[1]})")
        elif own[name].is_floating_point() != given[name].is_floating_point():
            wrong.append(f"{name} ({given[name].dtype}, where the model has {own[name].dtype})")
    if wrong:
        raise ReleaseError(
            f"{where}: {len(wrong)} weights are not the model's, such as "
            f"{', '.join(sorted(wrong)[:3])}: compare the encoder's section with the weights"
        )
    check_finite(where, given)


def check_finite(where: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights with values that are not finite.

    Raises:
        ReleaseError: naming the first such tensor.
    """
    for name, tensor in tensors.items():
        if tensor.is_meta or not tensor.is_floating_point():
            continue
        if not tensor.isfinite().all():
            raise ReleaseError(f"{where}: {name} is not finite: the file is damaged, get it again")


def floats(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Weights under a prefix, floating-point ones as float32."""
    return {
        f"{prefix}{name}": tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def weights_file(folder: Path, names: Sequence[str]) -> Path:
    """The weights file in a folder, by the library's names for it, preferred ones first.

    Raises:
        ReleaseError: if there is none, or several between which the choice would be arbitrary.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin"))
    if len(found) == 1:
        return found[0]
    raise ReleaseError(
        f"{folder}: {'several files' if found else 'no file'} of weights: "
        f"name one {' or '.join(names)}"
    )


def tell(line: str) -> None:
    """Report an assumption on standard error."""
    print(line, file=sys.stderr)
