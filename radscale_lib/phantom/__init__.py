"""The embedded archive of simulated chest radiographs, written as real DICOM."""

from radscale_lib.phantom.archive import write_archive
from radscale_lib.phantom.film import Film, render
from radscale_lib.phantom.population import draw_patient, draw_study

__all__ = ["Film", "draw_patient", "draw_study", "render", "write_archive"]
