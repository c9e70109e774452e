"""Read released weights under our names; each kind of encoder defines its files and names.

Tensors are read on demand, one at a time, since a job needs less memory than a whole release.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from radscale_lib.encoders.storage import EncoderFile, is_encoder_file, read_encoder
from radscale_lib.provenance.step import InputError
from radscale_lib.study.encoders import EncoderSection

Tensors = Mapping[str, Tensor]
Rules = tuple[tuple[str, str], ...]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Floating-point types by their names in safetensors."""


_OF_TRAINING = {"drop_path", "layer_scale", "vocabulary"}
"""Keys of an encoder's section that only training reads: the vocabulary is in the encoder file."""


class ReleaseError(InputError):
    """Released weights that are missing or cannot be read."""


class Lazy(Mapping[str, Tensor]):
    """Tensors by name, each made on demand."""

    def __init__(self, makers: Mapping[str, Callable[[], Tensor]]) -> None:
        """Take a function for each tensor."""
        self._makers = dict(makers)

    @classmethod
    def of(cls, tensors: Tensors) -> "Lazy":
        """Wrap a mapping of tensors."""
        return cls({name: partial(tensors.__getitem__, name) for name in tensors})

    def __getitem__(self, name: str) -> Tensor:
        """The tensor, made now."""
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        """Names."""
        return iter(self._makers)

    def __len__(self) -> int:
        """Number of tensors."""
        return len(self._makers)

    def __or__(self, other: Tensors) -> "Lazy":
        """Both, those of `other` first."""
        return Lazy({**self._makers, **Lazy.of(other)._makers})

    def without(self, *names: str) -> "Lazy":
        """All tensors except the named ones."""
        return Lazy({name: make for name, make in self._makers.items() if name not in names})

    def changed(self, change: Callable[[Tensor], Tensor], *names: str) -> "Lazy":
        """With the named tensors, or all if none are named, changed when they are made."""
        return self | Lazy(
            {
                name: partial(_changed, change, self._makers[name])
                for name in names or self._makers
                if name in self._makers
            }
        )


def _changed(change: Callable[[Tensor], Tensor], make: Callable[[], Tensor]) -> Tensor:
    return change(make())


def read_release(encoder: EncoderSection, path: Path, *, headers_only: bool = False) -> EncoderFile:
    """Released weights as float32 tensors under the names of an encoder file.

    Args:
        encoder: the study's section, which defines the release's files.
        path: file or folder of the release, or an encoder file that this project wrote.
        headers_only: read only names, shapes and scalars; tensors have no storage.

    Raises:
        ReleaseError: if a file is missing or not a safetensors file; at the latest on access, if a
            tensor is not floating-point or not finite; if an encoder file of this project has
            another architecture.
    """
    load = load_headers if headers_only else load_tensors
    if is_encoder_file(path):
        return _read_own(encoder, path, load)
    module = import_module(encoder.implementation)
    if hasattr(module, "import_release"):
        content: EncoderFile = module.import_release(encoder, path, headers_only=headers_only)
        return content
    tensors: Tensors = module.read_release(encoder, path, load)
    return EncoderFile(encoder, Lazy.of(tensors).changed(Tensor.float))


def _read_own(encoder: EncoderSection, path: Path, load: Callable[[Path], Tensors]) -> EncoderFile:
    """An encoder file that this project wrote, with its tokenizer."""
    own = read_encoder(path, part=None)
    if own.encoder.kind != encoder.kind:
        raise ReleaseError(
            f"{path}: its encoder is of kind {own.encoder.kind!r}, and the study's of kind "
            f"{encoder.kind!r}: give the kind, or the weights, that fits"
        )
    others = list(_differences(own.encoder.stored().model_dump(), encoder.stored().model_dump()))
    if others:
        raise ReleaseError(
            f"{path}: it was trained with {', '.join(others)}: write that in the study's section"
        )
    return EncoderFile(encoder, Lazy.of(load(path)).changed(Tensor.float), own.tokenizer)


def _differences(own: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """Where an encoder file differs from a section, apart from training settings."""
    for key in sorted(own.keys() - _OF_TRAINING):
        value = own[key]
        if isinstance(value, Mapping):
            yield from (f"{key}.{each}" for each in _differences(value, given[key]))
        elif value != given.get(key):
            yield f"{key} {value}"


def renamed(tensors: Tensors, rules: Rules) -> Lazy:
    """Tensors renamed by applying each rule (pattern, replacement) in order."""
    out: dict[str, Callable[[], Tensor]] = {}
    for name in tensors:
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        out[new] = partial(tensors.__getitem__, name)
    return Lazy(out)


def load_tensors(path: Path) -> Lazy:
    """The tensors of a safetensors file, each read on demand.

    Raises:
        ReleaseError: if the file is missing or not a safetensors file, or a tensor is not
            floating-point; on access, if a tensor is not finite.
    """
    parts, data = _layout(path)
    return Lazy({name: partial(_read, path, name, part, data) for name, part in parts.items()})


def load_headers(path: Path) -> Lazy:
    """The same tensors without storage (on torch's device `meta`), except scalars.

    Raises:
        ReleaseError: as for `load_tensors`.
    """
    parts, data = _layout(path)

    def header(name: str) -> Tensor:
        part = parts[name]
        if math.prod(part["shape"]) == 1:
            return _read(path, name, part, data)
        return torch.empty(part["shape"], dtype=_DTYPES[part["dtype"]], device="meta")

    found = Lazy({name: partial(header, name) for name in parts})
    for name in found:
        found[name]
    return found


def _layout(path: Path) -> tuple[dict[str, Any], int]:
    """What a file's header says about each tensor, and where the data begins."""
    if not path.is_file():
        raise ReleaseError(f"{path}: no such file: download it with the release")
    try:
        with safe_open(path, framework="pt"):  # the library also checks header and length
            pass
        with path.open("rb") as file:
            parts, data = read_header(file)
    except SafetensorError as error:
        raise ReleaseError(f"{path}: not a safetensors file: {error}") from None
    for name, part in parts.items():
        if part["dtype"] not in _DTYPES:
            raise ReleaseError(
                f"{path}: {name} is not a floating-point tensor: use the release's file as "
                "published"
            )
    return parts, data


def read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and where its data begin."""
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def _read(path: Path, name: str, part: Mapping[str, Any], data: int) -> Tensor:
    """Read one tensor without mapping the file, whose pages would count as the job's memory."""
    begin, end = part["data_offsets"]
    buffer = bytearray(end - begin)
    with path.open("rb") as file:
        file.seek(data + begin)
        file.readinto(buffer)
    dtype = _DTYPES[part["dtype"]]
    flat = torch.frombuffer(buffer, dtype=dtype) if buffer else torch.empty(0, dtype=dtype)
    tensor = flat.reshape(part["shape"])
    if not tensor.isfinite().all():
        raise ReleaseError(f"{path}: {name} is not finite: the file is damaged, download it again")
    return tensor
