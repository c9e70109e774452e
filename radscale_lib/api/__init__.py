"""The public API of `radscale_lib`, one module per topic; see docs/reference/python.md.

The tests run the docstrings' examples in a folder with `film.dcm`, a DICOM file, and `study.yaml`,
a study file whose results lie in `results/`.
"""
