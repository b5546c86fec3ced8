"""Measures of images: similarity, realism, resolution, filaments and copies of training images."""
