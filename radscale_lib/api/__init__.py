"""What `radscale_lib` offers to programs of others, one module each; see docs/reference/python.md.

The examples of the docstrings run in the tests, in a folder that holds `film.dcm`, a DICOM file,
and `study.yaml`, a study file whose results lie in `results/`.
"""
