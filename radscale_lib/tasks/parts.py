"""The predictions of one head of one task, which are computed and kept separately."""

from importlib import import_module

from radscale_lib.study.model import Study
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.libraries import set_up_libraries
from radscale_lib.tasks.predictions import Predicted


def predict_part(study: Study, task: str, part: str, inputs: Inputs, threads: int) -> Predicted:
    """Predictions of one head of one task.

    They have no rows if the encoder's features or a decoder's output is not finite: scores of such
    values would look like those of a very bad encoder.

    Args:
        study: the study.
        task: the task's name.
        part: the head's name, one of the task's `parts`.
        inputs: the run's files.
        threads: threads of the numerical libraries.

    Raises:
        NoCasesError: if the task has no images for training or for scoring.
    """
    # Imported only when needed: start-up is most of a small task.
    implementation = import_module(study.evaluation.tasks[task].implementation)
    set_up_libraries(threads, study.compute.device)
    try:
        predicted: Predicted = implementation.predict(study, task, part, inputs)
    except NotFiniteError as error:
        table = implementation.predictions_schema(study, task).to_frame()
        return Predicted(table, faults={part: str(error)})
    return predicted
