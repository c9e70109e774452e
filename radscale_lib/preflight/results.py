"""Check existing results without manifests: can they be what they seem to be?"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from radscale_lib.files import file_digest, read_json
from radscale_lib.pretrain.run import digest_rows


def defects(inputs: Sequence[Path], outputs: Sequence[Path]) -> Iterator[str]:
    """Evidence that a job did not make these outputs from these inputs, as `file: what`.

    Tables and the headers of encoders are read; a run's card must name the existing base weights
    and subset.
    """
    unreadable = list(_unreadable(outputs))
    yield from unreadable
    card = next((path for path in outputs if path.name == "encoder.json"), None)
    if card is not None and not unreadable:
        yield from _exchanged(card, inputs)


def _unreadable(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        try:
            match path.suffix:
                case ".parquet":
                    pq.ParquetFile(path, page_checksum_verification=True).read()
                case ".safetensors" if path.stat().st_size:
                    with safe_open(path, "numpy") as file:
                        file.keys()
                case ".arrow":
                    with pa.memory_map(str(path)) as source:
                        pyarrow.ipc.open_file(source).read_all()
                case ".json":
                    read_json(path)
        except (OSError, ValueError, pa.ArrowException, SafetensorError):
            yield f"{path}: cannot be read: delete it, and run snakemake again afterwards"


def _exchanged(card: Path, inputs: Iterable[Path]) -> Iterator[str]:
    """Inputs other than those that a run's card names."""
    values = read_json(card)
    for path in inputs:
        if path.name == "encoder.safetensors":
            key, now = "base_digest", file_digest(path)
        elif "subsets" in path.parts:
            key, now = "subset_digest", digest_rows(path)
        else:
            continue
        if values.get(key) not in (None, now):
            yield (
                f"{card}: trained on another {path} ({key}): delete the run, or restore that file"
            )
