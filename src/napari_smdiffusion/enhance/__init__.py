"""The enhancer (single-image super-resolution): training pairs, network, calibration, application."""
