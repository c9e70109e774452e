"""radscale: data-scaling studies of radiology foundation models as one reproducible workflow."""
