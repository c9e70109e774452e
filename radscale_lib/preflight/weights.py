"""Check released weights by their headers: names, shapes, types, and finite scalars."""

from collections.abc import Iterator

from radscale_lib.preflight.finding import Finding
from radscale_lib.study.model import Study


def weights_findings(study: Study) -> Iterator[Finding]:
    """Released weights that could not be imported; only scalar tensors are read."""
    released = {
        name: encoder
        for name, encoder in study.encoders.items()
        if encoder.weights is not None
        and encoder.weights.exists()
        and name in {study.encoder_of(run.arm) for run in study.baseline_runs}
    }
    if not released:
        return
    # torch takes seconds to import: only for a study with released weights.
    from radscale_lib.encoders.release import ReleaseError
    from radscale_lib.pretrain.released import released_weights

    for name, encoder in released.items():
        try:
            released_weights(
                encoder,
                f"encoders.{name}",
                trained=name in study.continued_whole,
                headers_only=True,
            )
        except ReleaseError as error:
            yield Finding(f"encoders.{name}.weights: {error}")
