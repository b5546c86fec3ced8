"""Speed and memory of every stage, each in a process of its own.

    python -m benchmarks.speed.stages [STAGE ...]

Stages that are not named keep what was measured before, each with its own machine, date and commit, and for how many
steps the bundled model that it uses was trained. Nothing else should run.
Memory is the highest resident set of the process, torch included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.common import MEGABYTES, save_entry
from napari_smdiffusion import load_diffusion_model, load_enhancer

STAGES = {
    "import the package": "import napari_smdiffusion",
    "training, patches of 128² per second": """
from napari_smdiffusion import simulate, TrainConfig
from napari_smdiffusion import train_steps
image = simulate("microtubules", size=1280, seed=0)
marks = []
for event in train_steps([image], TrainConfig(steps=120, previews=0)):
    marks.append(time.monotonic())
value = 16 * (len(marks) - 21) / (marks[-1] - marks[20])
""",
    "generation, seconds for 16 images of 128²": """
from napari_smdiffusion import load_diffusion_model
model = load_diffusion_model("microtubules")
model.generate(1, size=128)
began = time.monotonic(); model.generate(16, size=128); value = time.monotonic() - began
""",
    "generation, seconds for one field of 1024²": """
from napari_smdiffusion import load_diffusion_model
model = load_diffusion_model("microtubules")
model.generate(1, size=128)
began = time.monotonic(); model.generate(1, size=1024); value = time.monotonic() - began
""",
    "enhancer training, patches of 128² per second": """
from napari_smdiffusion import simulate, EnhancerConfig, MicroscopeConfig
from napari_smdiffusion import train_enhancer_steps
image = simulate("microtubules", size=1280, seed=0)
marks = []
steps = train_enhancer_steps([image], EnhancerConfig(upscale=5, steps=120, previews=0), MicroscopeConfig())
for event in steps:
    marks.append(time.monotonic())
value = 16 * (len(marks) - 21) / (marks[-1] - marks[20])
""",
    "enhancing, seconds for 256² to 1280²": """
import numpy as np
from napari_smdiffusion import load_enhancer
enhancer = load_enhancer("microtubules")
image = np.random.default_rng(0).random((256, 256), np.float32)
enhancer.enhance(image)
began = time.monotonic(); enhancer.enhance(image); value = time.monotonic() - began
""",
    "samples, seconds for 8 of 256² to 1280²": """
import numpy as np
from napari_smdiffusion import load_enhancer
enhancer = load_enhancer("microtubules")
image = np.random.default_rng(0).random((256, 256), np.float32)
began = time.monotonic(); enhancer.enhance(image, samples=8); value = time.monotonic() - began
""",
    "samples, time of one sample of 256² to 1280² over that of the best estimate": """
import numpy as np
from napari_smdiffusion import load_enhancer
enhancer = load_enhancer("microtubules")
image = np.random.default_rng(0).random((256, 256), np.float32)
enhancer.enhance(image)
def seconds(samples):
    began = time.monotonic(); enhancer.enhance(image, samples=samples); return time.monotonic() - began
best = sorted(seconds(0) for _ in range(3))[1]
value = (seconds(3) - seconds(1)) / 2 / best
""",
    "samples, training step over that of the diffusion model, patches of 128²": """
from statistics import median
from napari_smdiffusion import simulate, EnhancerConfig, TrainConfig, TrainEnhancerJob, train_steps
image = simulate("mitochondria", size=1280, seed=0)
def step(events):
    marks = [(time.monotonic(), event.stage) for event in events if hasattr(event, "quartiles") and event.quartiles]
    times = [mark for mark, stage in marks if stage == marks[0][1]][10:]
    return median(after - before for before, after in zip(times, times[1:]))
plain = step(train_steps([image], TrainConfig(steps=60, batch=4, previews=0)))
settings = EnhancerConfig(upscale=4, method="samples", steps=60, patch=128, batch=4, previews=0)
value = step(TrainEnhancerJob([image], settings, start="mitochondria", prior="mitochondria").steps()) / plain
""",
    "enhancing, seconds for 4096² to 16384² from file to file": """
import numpy as np, os, subprocess, sys
import napari_smdiffusion as smd
from napari_smdiffusion.cli import main
smd.Enhancer.train(smd.simulate("microtubules", size=256), upscale=4, steps=1, previews=0).save("e")
smd.write_image("w.tif", smd.Image(np.random.default_rng(0).random((4096, 4096), np.float32)))
began = time.monotonic(); assert main(["enhance", "e", "w.tif", "--out", "x.tif"]) == 0
value = time.monotonic() - began
""",
    "looking for copies, seconds for 400 patches of 128² in 2560²": """
import numpy as np
from napari_smdiffusion.measure.copies import copy_report
random = np.random.default_rng(0)
plane, held_out = random.gamma(0.3, 1, (2560, 2560)).astype(np.float32), random.random((20, 128, 128), np.float32)
patches = random.random((380, 128, 128), np.float32)
began = time.monotonic(); copy_report(patches, [plane], held_out); value = time.monotonic() - began
""",
    "smdiffusion --help, seconds": """
import subprocess
began = time.monotonic(); subprocess.run(["smdiffusion", "--help"], stdout=subprocess.DEVNULL, check=True)
value = time.monotonic() - began
""",
    "first generated image from a cold command line, seconds": """
import subprocess
command = ["smdiffusion", "generate", "microtubules", "--out", "g.tif", "--count", "1"]
began = time.monotonic(); subprocess.run(command, check=True); value = time.monotonic() - began
""",
}

PROGRAM = """
import json, time
began = time.monotonic()
value = None
{code}
value = time.monotonic() - began if value is None else value
{megabytes}
print(json.dumps({{"value": round(value, 4), "megabytes": megabytes()}}))
"""


def measure(code: str) -> dict[str, Any]:
    """Run a stage in a fresh process and an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM.format(code=code, megabytes=MEGABYTES)]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return {**json.loads(result.stdout.splitlines()[-1]), **model_used(code)}


def model_used(code: str) -> dict[str, int]:
    """Return how long the bundled model was trained that a stage uses, if any."""
    if "load_enhancer" in code:
        return {"model_steps": load_enhancer("microtubules").facts.steps}
    if "microtubules" in code and "simulate" not in code:
        return {"model_steps": load_diffusion_model("microtubules").facts.steps}
    return {}


def main() -> None:
    """Measure the stages named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"a word of {', '.join(STAGES)}")
    wanted = parser.parse_args().stages
    for name, code in STAGES.items():
        if not wanted or any(word in name for word in wanted):
            save_entry("speed", name, measure(code))
            time.sleep(1)


if __name__ == "__main__":
    main()
