"""Small files of microscope programs, written as the programs write them, for tests.

CZI is written by its library. No library writes LIF and ND2: the bytes here follow what the libraries that read them
expect of files of LAS X and of NIS-Elements 4.
"""

import struct
from itertools import product

import numpy as np

SIZE = (24, 20)
CHANNELS = ("tubulin", "actin")


def value(scene=0, t=0, z=0, channel=0):
    """Return a value that tells a plane from all others."""
    return 1 + channel + 10 * z + 100 * t + 1000 * scene


def plane(size=None, **place):
    """Return a plane (Y, X) with a gradient, so that a transposed or flipped plane differs."""
    size = size or SIZE
    return (value(**place) + 7 * np.arange(size[0])[:, None] + 3 * np.arange(size[1])).astype(np.uint16)


def write_czi(path, times=1, depths=1, channels=1, scenes=1, side=1e-7, sides=None, left_out=(), compression=None):
    """Write a file of ZEN; `side` in m, `left_out` are planes (t, z, channel) that were not recorded."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), compression_options=compression) as file:
        for scene, t, z, c in product(range(scenes), range(times), range(depths), range(channels)):
            if (t, z, c) not in left_out:
                place = {"T": t, "Z": z, "C": c}
                file.write(plane(scene=scene, t=t, z=z, channel=c), plane=place, scene=scene, location=(500 * scene, 0))
        y, x = sides or (side, side)
        names = dict(enumerate(CHANNELS[:channels]))
        file.write_metadata("image", channel_names=names, scale_x=x, scale_y=y, scale_z=3e-7 if depths > 1 else None)
    return path


def write_lif(path, times=1, depths=1, channels=1, scenes=1, side=1e-7, sides=None, stated=None):
    """Write a file of LAS X; `stated` replaces the number of planes along each axis in the metadata."""
    y, x = sides or (side, side)
    series, blocks = [], []
    for scene in range(scenes):
        planes = [
            plane(scene=scene, t=t, z=z, channel=c) for t, z, c in product(range(times), range(depths), range(channels))
        ]
        one = 2 * SIZE[0] * SIZE[1]
        counts = {"X": SIZE[1], "Y": SIZE[0], "Z": depths, "T": times, **(stated or {})}
        dimensions = [
            ("1", counts["X"], x, 2, "m"),
            ("2", counts["Y"], y, 2 * SIZE[1], "m"),
            ("3", counts["Z"], 3e-7, one * channels, "m"),
            ("4", counts["T"], 2.5, one * channels * depths, "s"),
        ]
        described = "".join(
            f'<DimensionDescription DimID="{identity}" NumberOfElements="{n}" Origin="0" Length="{(n - 1) * step}" '
            f'Unit="{unit}" BitInc="0" BytesInc="{increment}"/>'
            for identity, n, step, increment, unit in dimensions
            if n > 1
        )
        dyes = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
            f'Max="65535" Unit="" LUTName="{CHANNELS[c]}" IsLUTInverted="0" BytesInc="{one * c}" BitInc="0"/>'
            for c in range(channels)
        )
        data = b"".join(pixels.tobytes() for pixels in planes)
        series.append(
            f'<Element Name="Series{scene + 1:03d}"><Data><Image><ImageDescription><Channels>{dyes}</Channels>'
            f"<Dimensions>{described}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{len(data)}" MemoryBlockID="MemBlock_{scene}"/></Element>'
        )
        blocks.append((f"MemBlock_{scene}".encode("utf-16-le"), data))
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="image"><Children>'
        f"{''.join(series)}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    content = struct.pack("<IIBI", 0x70, len(text) + 5, 0x2A, len(text) // 2) + text
    for name, data in blocks:
        content += struct.pack("<IIBQBI", 0x70, 14 + len(name), 0x2A, len(data), 0x2A, len(name) // 2) + name + data
    path.write_bytes(content)
    return path


def _clx(name, content):
    """Return a value with its name in the binary form of NIS-Elements' metadata."""
    head = name.encode("utf-16-le") + b"\0\0"

    def entry(kind, data):
        return struct.pack("<BB", kind, len(head) // 2) + head + data

    if isinstance(content, dict):
        inner = b"".join(_clx(key, item) for key, item in content.items())
        length = 2 + len(head) + 12 + len(inner)
        return entry(11, struct.pack("<IQ", len(content), length) + inner + bytes(8 * len(content)))
    if isinstance(content, bool):
        return entry(1, struct.pack("<B", content))
    if isinstance(content, int):
        return entry(3, struct.pack("<I", content))
    if isinstance(content, float):
        return entry(6, struct.pack("<d", content))
    return entry(8, content.encode("utf-16-le") + b"\0\0")


def _loops(times, depths, scenes):
    """Return the nested loops of an experiment, the outermost first."""
    loops = []
    if scenes > 1:
        points = {
            f"i{k:010}": {"dPosX": 5.0 * k, "dPosY": 0.0, "dPosZ": 0.0, "dPosName": f"A{k}"} for k in range(scenes)
        }
        loops.append((2, {"uiCount": scenes, "bUseZ": False, "Points": points}))
    if times > 1:
        loops.append((1, {"uiCount": times, "dStart": 0.0, "dPeriod": 2500.0, "dDuration": 0.0}))
    if depths > 1:
        loops.append((4, {"uiCount": depths, "dZLow": 0.0, "dZHigh": 0.3 * (depths - 1), "dZStep": 0.3}))
    nested = {}
    for kind, parameters in reversed(loops):
        level = {"eType": kind, "uLoopPars": parameters}
        nested = {**level, **({"ppNextLevelEx": {"i0000000000": nested}} if nested else {})}
    return nested


def write_nd2(
    path, times=1, depths=1, channels=1, scenes=1, side=1e-7, left_out=(), stated=None, color=False, dyes=True
):
    """Write a file of NIS-Elements; `left_out` are the numbers of frames that were not recorded."""
    frames = [
        np.stack([plane(scene=scene, t=t, z=z, channel=c) for c in range(channels)], axis=-1)
        for scene, t, z in product(range(scenes), range(times), range(depths))
    ]
    stated = {"times": times, "depths": depths, "scenes": scenes, **(stated or {})}
    attributes = {
        "uiWidth": SIZE[1],
        "uiWidthBytes": 2 * channels * SIZE[1],
        "uiHeight": SIZE[0],
        "uiComp": channels,
        "uiBpcInMemory": 16,
        "uiBpcSignificant": 16,
        "uiSequenceCount": len(frames),
        "eCompression": 2,
    }
    dye = {"pFluorescentProbe": {"m_sName": "dye"}} if dyes else {}
    planes = {
        f"a{c}": {"uiCompCount": channels if color else 1, "sDescription": CHANNELS[c % 2], **dye}
        for c in range(1 if color else channels)
    }
    picture = {
        "bCalibrated": side > 0,
        "dCalibration": 1e6 * side if side > 0 else 1.0,
        "sPicturePlanes": {"uiCount": len(planes), "sPlaneNew": planes},
    }
    chunks = [
        (b"ImageAttributesLV!", _clx("SLxImageAttributes", attributes)),
        (b"ImageMetadataSeqLV|0!", _clx("SLxPictureMetadata", picture)),
    ]
    if experiment := _loops(**stated):
        chunks.append((b"ImageMetadataLV!", _clx("SLxExperiment", experiment)))
    chunks += [
        (f"ImageDataSeq|{n}!".encode(), struct.pack("<d", 0.0) + frame.tobytes())
        for n, frame in enumerate(frames)
        if n not in left_out
    ]
    magic, signature = 0x0ABECEDA, b"ND2 CHUNK MAP SIGNATURE 0000001!"
    content = struct.pack("<IIQ32s64s", magic, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0")
    content = bytearray(content.ljust(4096, b"\0"))
    table = b""
    for name, data in chunks:
        table += name + struct.pack("<QQ", len(content), len(data))
        content += struct.pack("<IIQ", magic, 4072, len(data)) + name.ljust(4072, b"\0") + data
    place = len(content)
    table += signature + struct.pack("<Q", place)
    content += struct.pack("<IIQ", magic, 32, len(table)) + b"ND2 FILEMAP SIGNATURE NAME 0001!" + table
    path.write_bytes(bytes(content))
    return path


WRITERS = {".czi": write_czi, ".lif": write_lif, ".nd2": write_nd2}
