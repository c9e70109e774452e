"""Monitoring of training runs, on which no result depends."""

from pydantic import Field

from radscale_lib.study.base import Section


class Watch(Section):
    """Monitoring of training runs; changing it reruns no training."""

    knn_images: int = Field(
        0,
        ge=0,
        description="Labelled images of the train split, the first by keyed hash, for a k-NN "
        "probe of an arm's run (column `knn` of its log): half of them are classified "
        "by the other half. 0 for none.",
    )
    knn_times: int = Field(10, ge=1, description="Number of probes, spread evenly over a run.")
    tensorboard: bool = Field(
        False,
        description="Whether the log is also written as TensorBoard event files, to "
        "`tensorboard/<run>/` below the study's results.",
    )
