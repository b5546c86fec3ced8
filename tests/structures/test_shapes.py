"""The sizes of simulated structures, measured in their molecules and images, are those that their sources state."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from napari_smdiffusion import STRUCTURES, simulate
from napari_smdiffusion.structures import endoplasmic_reticulum
from napari_smdiffusion.structures.labelling import localize

NEW = sorted({*STRUCTURES} - {"microtubules", "mitochondria"})


@pytest.mark.parametrize("structure", NEW)
def test_a_structure_fills_its_field_reproducibly(structure):
    image = simulate(structure, count=2, size=192, pixel_size=20.0, seed=3)
    assert image.pixels.shape == (2, 192, 192)
    np.testing.assert_array_equal(image.pixels[:1], simulate(structure, size=192, pixel_size=20.0, seed=3).pixels)
    assert not np.array_equal(image.pixels[0], image.pixels[1])
    # A pixel of 20 nm has 0.008 localizations of the background.
    assert all(0.02 < plane.mean() < 20 for plane in image.pixels)


@pytest.mark.parametrize("structure", NEW)
def test_the_smallest_field_is_simulated(structure):
    """It may show nothing of the structure; the package's warnings are errors here."""
    assert all(np.isfinite(simulate(structure, size=16, pixel_size=1.0, seed=seed).pixels).all() for seed in range(8))


@pytest.mark.parametrize("structure", NEW)
def test_a_structure_has_the_same_density_at_the_border_as_within(structure):
    """Molecules of structures outside the field must reach into it."""
    rng = np.random.default_rng(0)
    sites = np.concatenate([STRUCTURES[structure].draw_sites(4000.0, 1.0, rng) for _ in range(6)])
    inside = sites[((sites >= 0) & (sites < 4000)).all(axis=1)]
    border = (np.minimum(inside, 4000 - inside).min(axis=1) < 400).mean()
    assert 0.6 * 0.36 < border < 1.5 * 0.36  # the share of the area


def _clusters(sites, distance):
    """Return the groups of sites (N, 2) that are linked by steps of at most `distance` nm."""
    pairs = cKDTree(sites).query_pairs(distance, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(sites),) * 2)
    _, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    return np.split(sites[order], np.flatnonzero(np.diff(group[order])) + 1)


def test_nuclear_pores_are_rings_of_107_nm_with_eight_corners():
    rng = np.random.default_rng(0)
    pores = [
        cluster
        for cluster in _clusters(STRUCTURES["nuclear-pores"].draw_sites(4000.0, 1.0, rng), 55)
        if len(cluster) == 32  # one pore that touches no other one
    ]
    assert len(pores) > 10
    diameters, corners = [], []
    for pore in pores:
        localizations = localize(np.repeat(pore, 20, axis=0), 3.0, 1.0, 9.0, rng)
        relative = localizations - localizations.mean(0)
        # The precision widens the ring: its variance is that of two axes.
        diameters.append(2 * np.sqrt(np.mean(np.sum(relative**2, axis=1)) - 2 * 9.0**2))
        angle = np.arctan2(*(pore - pore.mean(0)).T)
        corners.append([abs(np.exp(1j * fold * angle).mean()) for fold in range(5, 12)])
    assert abs(np.mean(diameters) - 107) < 5
    fold = np.mean(corners, axis=0)
    assert 5 + fold.argmax() == 8
    assert fold.max() > 3 * np.median(fold)


def test_clathrin_pits_are_hollow_and_100_to_220_nm_wide():
    sites = STRUCTURES["clathrin-pits"].draw_sites(12_000.0, 0.4, np.random.default_rng(1))
    relative = [cluster - cluster.mean(0) for cluster in _clusters(sites, 40) if len(cluster) > 40]
    distances = [np.linalg.norm(cluster, axis=1) for cluster in relative]
    pits = [distance for distance in distances if np.quantile(distance, 0.98) < 120]
    assert len(pits) > 0.7 * len(distances)  # the others are plaques
    widths = [2 * np.quantile(distance, 0.98) for distance in pits]
    assert np.quantile(widths, 0.05) > 100
    assert np.quantile(widths, 0.95) < 220
    rings = [np.histogram(distance / np.quantile(distance, 0.98), (0, 0.35, 0.7, 1))[0] for distance in pits]
    inner, _, outer = np.sum(rings, axis=0) / np.diff(np.square((0, 0.35, 0.7, 1)))
    assert inner < 0.6 * outer
    assert min(2 * np.quantile(d, 0.98) for d in distances if np.quantile(d, 0.98) >= 120) > 220  # plaques are wider


def test_the_endoplasmic_reticulum_is_one_network_of_three_way_junctions():
    rng = np.random.default_rng(2)
    nucleus = endoplasmic_reticulum._Nucleus.drawn(8000.0, rng)
    ends = endoplasmic_reticulum._network(nucleus, 8000.0, rng).reshape(-1, 2)
    inside = ends[((ends > 0) & (ends < 8000)).all(axis=1)]
    inside = inside[nucleus.outside(inside) > 1500]
    _, tubules = np.unique(inside.round(3), axis=0, return_counts=True)
    assert (tubules == 3).mean() > 0.97

    plane = simulate("endoplasmic-reticulum", size=512, pixel_size=20.0, seed=4, labelling=1.0).pixels[0]
    membrane = gaussian_filter(plane, 1) > 0.12 * np.quantile(plane, 0.98)
    pieces, _ = label(membrane, np.ones((3, 3)))
    assert np.bincount(pieces[membrane]).max() > 0.9 * membrane.sum()
    polygons, count = label(~membrane)
    widths = 0.02 * np.sqrt(4 / np.pi * np.bincount(polygons.ravel())[1:])  # µm, of circles of equal area
    assert count > 30
    assert 0.5 < np.median(widths[widths > 0.2]) < 2  # smaller ones are holes of sheets


def test_the_holes_of_the_actin_cortex_are_50_to_200_nm_wide():
    plane = simulate("actin-cortex", size=400, pixel_size=10.0, seed=1, unspecific_background=0.0).pixels[0]
    depth = distance_transform_edt(gaussian_filter(plane, 1) < 0.1 * np.quantile(plane, 0.98))
    middles = (depth == maximum_filter(depth, 9)) & (depth > 1.5)
    widths = 2 * 10 * depth[middles]
    assert 50 < np.median(widths) < 200
    assert np.mean((widths > 30) & (widths < 250)) > 0.85


def _order(structure):
    """Return the order of the directions in an image: 1 if all are parallel, 0 if none is preferred."""
    plane = gaussian_filter(simulate(structure, size=512, pixel_size=20.0, seed=1).pixels[0], 2)
    along_y, along_x = np.gradient(plane)
    gradient = (along_x + 1j * along_y) ** 2
    return abs(gradient.sum()) / np.abs(gradient).sum()


def test_stress_fibres_are_parallel_and_the_cortex_is_not():
    assert _order("actin-stress-fibres") > 0.6
    assert _order("actin-cortex") < 0.15


def test_vesicles_have_a_rim_and_sizes_from_100_nm_to_1_um():
    sites = STRUCTURES["vesicles"].draw_sites(12_000.0, 0.4, np.random.default_rng(3))
    round_ones = []
    for cluster in _clusters(sites, 45):
        extent = np.ptp(cluster, axis=0)
        if len(cluster) > 40 and extent.max() < 1.3 * extent.min():
            middle = (cluster.min(0) + cluster.max(0)) / 2  # its labels may be on one side
            round_ones.append((extent.mean(), 2 * np.linalg.norm(cluster - middle, axis=1) / extent.mean()))
    widths = np.array([width for width, _ in round_ones])
    assert len(widths) > 30
    assert 90 < widths.min() < 200
    assert 400 < widths.max() < 1200
    assert widths.max() > 3 * widths.min()
    wide = np.concatenate([relative for width, relative in round_ones if width > 300])
    inner, outer = (np.mean((wide >= a) & (wide < b)) / (b**2 - a**2) for a, b in ((0, 0.5), (0.75, 1)))
    assert inner < 0.6 * outer


def test_synaptic_vesicles_form_clusters_of_200_to_500_nm():
    sites = STRUCTURES["synaptic-vesicles"].draw_sites(12_000.0, 1.0, np.random.default_rng(4))
    boutons = [cluster for cluster in _clusters(sites, 50) if len(cluster) > 150]
    assert len(boutons) > 20
    widths = [4 * np.sqrt(np.cov(bouton.T).trace() / 2) for bouton in boutons]  # of a disc, the diameter
    assert 200 < np.median(widths) < 500
    assert np.quantile(widths, 0.1) > 150
