"""Measurements: `speed` of the program, `realism` of images, the paper's `claims`, and how `models` were made.

    python -m benchmarks.speed.stages

Run them as modules, in the folder above this one. Results lie in `results`, as JSON with machine, versions and date.
Real images are those of SFSRM: they are fetched, or read from the folder that $SMDIFFUSION_DATA names.
"""
