"""Kill, starve and disturb the program at random moments, and look at what is left.

    python -m benchmarks.faults [--times 50] [--seed 0] [--only kill disk …] [--again] [--draw]

Each work (training, generating, enhancing into files and into stores, saving) runs in a forked child with everything
imported, with tiny images and networks. Every trial is disturbed at a random moment, or by a random limit:

    kill        SIGKILL
    size        no file may grow beyond a number of bytes (RLIMIT_FSIZE), as on a disk with a quota
    disk        a disk (tmpfs) of a few bytes; for root on Linux alone
    removed     the folder of the result is removed
    permission  the folder of the result becomes read-only; root loses its privileges for it
    memory      the process may use only a little more memory (RLIMIT_AS)
    power       nothing: the order of writes is recorded, for a power cut

Then every result must be whole or absent, and an earlier result must be there until the new one replaces it. No
traceback may be shown. The same work again, with resume where there is one, must end with the pixels or weights of an
undisturbed run. It must leave nothing hidden, nothing locked and no temporary file. Checkpoints and marks are written
at every step, so that faults fall into saving. For `power`, each rename of a result must come after an fsync of all
files in it since their last change, and before an fsync of its folder.

Every ten trials are written to benchmarks/results/faults.json: a run that is cut goes on when it is started again, and
one with more --times adds to them. --again begins anew, --draw draws the table in docs/limits.md. Linux and macOS only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.common import ROOT, entries, save_entry
from napari_smdiffusion import DiffusionModel, Enhancer, EnhancerConfig, Image, read_image, simulate, write_image
from napari_smdiffusion.base.errors import is_user_error, sentence_of
from napari_smdiffusion.cli import main
from napari_smdiffusion.images import unfinished
from napari_smdiffusion.recipes.job import run_job
from napari_smdiffusion.recipes.train_enhancer import TrainEnhancerJob
from napari_smdiffusion.training import loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    Values = list[npt.NDArray[Any]]
    Contents = dict[str, Values]  # pixels or weights of the results, by the names of their files and folders

RESULT = "faults"
TABLE = ROOT / "docs" / "limits.md"
_LONGEST = 120.0  # s; a trial that takes longer hangs
_TOGETHER = 10  # trials that are written together
_SENTENCES = 3  # that the table shows of a kind
_MODEL_FOLDERS: dict[str, Any] = {"m": DiffusionModel, "e": Enhancer, "s": DiffusionModel}
_MB = 2**20


@dataclass(frozen=True)
class Work:
    """A work that is disturbed.

    Parameters
    ----------
    name
        Its name in the table.
    flags
        The command, with {0} for the folder of a trial. Empty for a work of Python.
    again
        Flags that are added when it runs again.
    replaces
        Whether the results of an earlier run are there before it.
    call
        The work of Python, of the folder of a trial.
    """

    name: str
    flags: str = ""
    again: str = "--resume"
    replaces: bool = False
    call: Callable[[Path], None] | None = None

    def run(self, folder: Path, *more: str) -> int:
        """Do the work, and return the exit code."""
        if self.call is not None:
            self.call(folder)
            return 0
        return main([*self.flags.format(folder).split(), *more])


def _save(folder: Path) -> None:
    """Save a model, an image and a store, as *Save* in the docks and scripts do."""
    out = folder / "out"
    DiffusionModel.load(folder / "model").save(out / "s")
    cell = read_image(folder / "cell.tif")
    for name in ("i.tif", "i.zarr"):
        write_image(out / name, cell)


_TRAIN = "--steps 6 --patch 64 --batch 1 --channels 16 32 --start none"
WORKS = (
    Work("train", f"train {{0}}/storm.tif --out {{0}}/out/m {_TRAIN}"),
    Work(
        "train-enhancer",
        "train-enhancer {0}/storm.tif --out {0}/out/e --upscale 4 --steps 6 --batch 1 --channels 8",
    ),
    Work(
        "generate",
        "generate {0}/model --out {0}/out/g.tif --count 8 --size 64 --steps 2 --batch 2 --seed 1",
        replaces=True,
    ),
    Work(
        "enhance files",
        "enhance {0}/enhancer {0}/cell.tif --out {0}/out/x.tif --uncertainty --tile 64",
        replaces=True,
    ),
    Work(
        "enhance stores",
        "enhance {0}/enhancer {0}/cell.zarr --out {0}/out/x.zarr --uncertainty --tile 64",
        replaces=True,
    ),
    Work("save", again="", replaces=True, call=_save),
)
FAULTS = ("kill", "size", "disk", "removed", "permission", "memory", "power")


@dataclass
class Outcome:
    """What a disturbed work did.

    Parameters
    ----------
    status
        Its exit status as `os.waitpid` returns it.
    text
        What it showed.
    disturbed
        Whether it was still running when it was disturbed.
    """

    status: int
    text: str
    disturbed: bool = True
    problems: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The last line that it showed, without paths and numbers; "" if it ended well, or was killed."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        if self.status == 0 or os.WIFSIGNALED(self.status) or not lines:
            return ""
        text = re.sub(r"(?:/[^/\s,:]+)+/", "", lines[-1])
        return re.sub(r"\d[\d.]*", "…", re.sub(r"-[0-9a-f]{8}\b", "-…", text))


def prepare(folder: Path) -> None:
    """Write the images and models that the works need."""
    storm = simulate("microtubules", size=192, pixel_size=20.0, seed=3, organisation="random")
    write_image(folder / "storm.tif", storm)
    cell = Image(np.random.default_rng(0).gamma(0.5, 100, (120, 120)).astype(np.float32), 80.0)
    for name in ("cell.tif", "cell.zarr"):
        write_image(folder / name, cell)
    DiffusionModel.train([storm], steps=2, patch=64, batch=1, channels=(16, 32), start=None).save(folder / "model")
    settings = EnhancerConfig(upscale=4, steps=2, batch=1, channels=8, previews=0)
    run_job(TrainEnhancerJob(storm, settings)).save(folder / "enhancer")


def contents(out: Path) -> Contents:
    """Return all pixels and weights of the results in a folder; raises an error if one is not whole."""
    found: Contents = {}
    for path in sorted(out.iterdir()) if out.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.name in _MODEL_FOLDERS:
            if (path / "model.json").exists():
                found[path.name] = _weights(path)
        elif path.suffix in (".tif", ".zarr"):
            found[path.name] = [np.asarray(read_image(path).pixels)]
    return found


def _weights(path: Path) -> Values:
    model = _MODEL_FOLDERS[path.name].load(path)
    network = model.network if isinstance(model, Enhancer) else model.unet
    return [weights.detach().numpy() for weights in network.parameters()]


def _same(one: Values, other: Values) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


class _Pipe(io.TextIOBase):
    """Writes text at once, so that a kill loses none."""

    def write(self, text: str) -> int:
        """Write text."""
        os.write(2, text.encode())
        return len(text)


def _nothing(_: int = 0) -> None:
    """Disturb nothing."""


class Room:
    """The folder of a work: its inputs, its results of an undisturbed run, and an earlier result.

    Parameters
    ----------
    folder
        Folder with the inputs, as `prepare` writes them.
    work
        The work.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        self.folder, self.work, self.out = folder, work, folder / "out"
        self.temporary = folder / "tmp"
        self.empty()
        began = time.monotonic()
        outcome = self.disturbed(_nothing)
        self.seconds = time.monotonic() - began
        if outcome.status:
            raise RuntimeError(f"{work.name} fails without a fault: {outcome.text}")
        self.expected = contents(self.out)
        self.largest = max(path.stat().st_size for path in self.out.rglob("*") if path.is_file())
        self.total = sum(path.stat().st_size for path in self.out.rglob("*") if path.is_file())
        # An earlier result has the same names and other pixels.
        self.former = {name: [_other(value) for value in values] for name, values in self.expected.items()}

    def empty(self) -> None:
        """Make an empty folder for the results, or one with an earlier result."""
        for path in (self.out, self.temporary):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        if self.work.replaces and hasattr(self, "former"):
            self._write_former()

    def _write_former(self) -> None:
        for name, values in self.former.items():
            if name in _MODEL_FOLDERS:
                model = DiffusionModel.load(self.folder / "model")
                with torch.no_grad():
                    for weights, value in zip(model.unet.parameters(), values, strict=True):
                        weights.copy_(torch.from_numpy(value))
                model.save(self.out / name)
            else:
                provenance = {"kind": "synthetic" if self.work.name == "generate" else "enhanced"}
                write_image(self.out / name, Image(values[0], 20.0, provenance=provenance))

    def disturbed(
        self,
        fault: Callable[[int], None],
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
        flags: Sequence[str] = (),
    ) -> Outcome:
        """Run the work in a child.

        Parameters
        ----------
        fault
            Is called in the parent with the process id of the child.
        before, after
            Are called in the child before and after the work.
        flags
            More flags of the command.
        """
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 70
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            try:
                with contextlib.redirect_stderr(_Pipe()), contextlib.redirect_stdout(_Pipe()):
                    (before or _nothing)()
                    code = self._work(flags)
                    (after or _nothing)()
            except BaseException as error:
                os.write(2, f"\nTraceback of {type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(code)
        os.close(writing)
        os.set_blocking(reading, False)
        fault(child)
        outcome = self._waited(child, reading)
        os.close(reading)
        return outcome

    def _work(self, flags: Sequence[str]) -> int:
        try:
            return self.work.run(self.folder, *flags)
        except Exception as error:  # of a work of Python, which shows none
            if not is_user_error(error):
                raise
            print(sentence_of(error))
            return 2

    @staticmethod
    def _waited(child: int, reading: int) -> Outcome:
        end, text, status = time.monotonic() + _LONGEST, b"", None
        while status is None:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
            done, ended = os.waitpid(child, os.WNOHANG)
            status = ended if done else None
            with contextlib.suppress(BlockingIOError):
                while part := os.read(reading, 2**16):
                    text += part
            time.sleep(0.002)
        outcome = Outcome(status, text.decode(errors="replace"))
        if time.monotonic() > end:
            outcome.problems.append("hangs")
        return outcome

    def judged(self, outcome: Outcome, *, killed: bool = False, removed: bool = False) -> Counter[str]:
        """Count what was wrong after a disturbed run and after the next run."""
        counts = Counter[str](dict.fromkeys(outcome.problems, 1))
        counts["tried"] += 1
        counts["disturbed"] += outcome.disturbed
        if not killed and (os.WIFSIGNALED(outcome.status) or "Traceback" in outcome.text):
            counts["crashed"] += 1
        self._judge_state(counts, ended_well=outcome.status == 0, removed=removed)
        counts["resumable"] += any(path.name.startswith(".") for path in self.out.iterdir()) if self.out.is_dir() else 0
        self._judge_next(counts)
        return counts

    def _judge_state(self, counts: Counter[str], *, ended_well: bool, removed: bool) -> None:
        """Count results that are half, or lost."""
        try:
            left = contents(self.out)
        except Exception as error:  # a half file can fail in any way
            print(f"half: {error}", file=sys.stderr)
            counts["half"] += 1
            return
        former = self.former if self.work.replaces and not removed else {}
        for name, values in self.expected.items():
            allowed = [self.expected[name], *([former[name]] if name in former else [])]
            if name in left:
                # An unfinished training has a model of fewer steps, which is whole.
                unfinished_model = name in ("m", "e")
                counts["half"] += not (unfinished_model or any(_same(left[name], values) for values in allowed))
            elif name in former or (ended_well and not removed):
                counts["lost"] += 1

    def _judge_next(self, counts: Counter[str]) -> None:
        """Do the work again, and count what is wrong then."""
        self.out.mkdir(exist_ok=True)
        outcome = self.disturbed(_nothing) if not self.work.again else self._again()
        counts["not completed"] += outcome.status != 0
        try:
            got = contents(self.out)
        except Exception as error:
            print(f"half after the next run: {error}", file=sys.stderr)
            got = {}
        right = got.keys() == self.expected.keys() and all(_same(got[name], self.expected[name]) for name in got)
        counts["other pixels or weights"] += not right
        litter = [path for path in self.out.iterdir() if path.name.startswith(".")]
        counts["litter"] += bool(litter)
        counts["temporary files"] += any(self.temporary.iterdir())
        if not right or litter or outcome.status:
            print(f"{self.work.name}: right {right}, litter {litter}, {outcome.text[-300:]}", file=sys.stderr)

    def _again(self) -> Outcome:
        """Resume the work; where nothing was saved yet, or all is done, it cannot be resumed."""
        begun = any(path.name.startswith(".") for path in self.out.iterdir())
        resumed = self.disturbed(_nothing, flags=self.work.again.split())
        if os.WEXITSTATUS(resumed.status) == 2 and self.work.replaces and not begun:
            return self.disturbed(_nothing)  # the earlier result is of another run, and this one had not begun
        if os.WEXITSTATUS(resumed.status) == 2 and self.work.name.startswith("train"):
            (name,) = self.expected
            if not (self.out / name).exists():
                return self.disturbed(_nothing)
            with contextlib.suppress(Exception):
                if _same(contents(self.out).get(name, []), self.expected[name]):
                    return Outcome(0, resumed.text)
        return resumed


def _other(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(value * 0.5 + 0.25, np.float32)


def _until(child: int, seconds: float) -> bool:
    """Wait, and return whether the child is still running."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _has_ended(child):
            return False
        time.sleep(0.001)
    return not _has_ended(child)


def _has_ended(child: int) -> bool:
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended is not None


def kill(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Kill the work at a random moment."""
    running = []

    def fault(child: int) -> None:
        running.append(_until(child, moments.random() * room.seconds))
        os.kill(child, signal.SIGKILL)

    outcome = room.disturbed(fault)
    outcome.disturbed = running[0]
    return outcome, room.judged(outcome, killed=True)


def size(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Let no file grow beyond a random size."""
    most = int(moments.random() * 1.2 * room.largest)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    outcome = room.disturbed(_nothing, limit)
    outcome.disturbed = outcome.status != 0
    return outcome, room.judged(outcome)


def memory(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Give the work only a little more memory than it has when it begins."""
    more = int(_MB * 0.1 * 2000 ** moments.random())  # most works need little more

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    outcome = room.disturbed(_nothing, limit)
    outcome.disturbed = outcome.status != 0
    return outcome, room.judged(outcome)


def removed(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Remove the folder of the result at a random moment."""
    running = []

    def fault(child: int) -> None:
        running.append(_until(child, moments.random() * room.seconds))
        for _ in range(100):  # the work may write into it meanwhile
            shutil.rmtree(room.out, ignore_errors=True)
            if not room.out.exists():
                break

    outcome = room.disturbed(fault)
    outcome.disturbed = running[0]
    return outcome, room.judged(outcome, removed=True)


def permission(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Make the folder of the result read-only at a random moment; half of the trials from the begin."""
    running = []

    def fault(child: int) -> None:
        running.append(moments.random() < 0.5 or _until(child, moments.random() * room.seconds))
        room.out.chmod(stat.S_IRUSR | stat.S_IXUSR)

    outcome = room.disturbed(fault)
    room.out.chmod(stat.S_IRWXU)
    outcome.disturbed = running[0] and outcome.status != 0
    return outcome, room.judged(outcome)


def disk(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Put the result on a disk of a random size."""
    share = moments.random()
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(options: str, flags: int = 0) -> None:
        if libc.mount(b"tmpfs", os.fsencode(room.out), b"tmpfs", flags, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")

    mount("size=1g")
    try:
        if room.work.replaces:
            room._write_former()
        used = shutil.disk_usage(room.out).used
        most = int(used + share * 1.2 * room.total + 3 * resource.getpagesize())
        mount(f"size={most}", _REMOUNT)
        outcome = room.disturbed(_nothing)
        outcome.disturbed = outcome.status != 0
        mount("size=1g", _REMOUNT)
        return outcome, room.judged(outcome)
    finally:
        libc.umount2(os.fsencode(room.out), _DETACH)


_REMOUNT, _DETACH = 32, 2  # MS_REMOUNT, MNT_DETACH


class Recorder:
    """Records the order of renames and fsyncs in a process, and what of it a power cut could break."""

    def __init__(self, out: Path) -> None:
        self._out = str(out)
        self._synced: dict[tuple[int, int], int] = {}
        self._waiting: dict[str, str] = {}  # folders whose renames are not on the disk yet
        self.renames, self.problems = 0, list[str]()
        self._rename, self._replace, self._fsync = os.rename, os.replace, os.fsync

    def start(self) -> None:
        """Record from now on."""
        os.rename = self._recorded(self._rename)
        os.replace = self._recorded(self._replace)
        os.fsync = self._fsynced  # type: ignore[assignment]

    def report(self, path: Path) -> None:
        """Write what was found."""
        self.problems += [f"{name} was renamed, and its folder not synced" for name in self._waiting.values()]
        path.write_text(json.dumps({"renames": self.renames, "problems": self.problems}))

    def _fsynced(self, descriptor: int) -> None:
        self._fsync(descriptor)
        status = os.fstat(descriptor)
        self._synced[status.st_dev, status.st_ino] = time.time_ns()
        if stat.S_ISDIR(status.st_mode):
            self._waiting = {
                folder: name for folder, name in self._waiting.items() if os.stat(folder).st_ino != status.st_ino
            }

    def _recorded(self, function: Callable[..., None]) -> Callable[..., None]:
        def rename(source: Any, target: Any, **more: Any) -> None:
            name = os.path.basename(os.fspath(target))
            final = str(target).startswith(self._out) and not str(Path(target).relative_to(self._out)).startswith(".")
            if final:
                self.renames += 1
                files = (
                    [Path(source)] if Path(source).is_file() else [p for p in Path(source).rglob("*") if p.is_file()]
                )
                for file in files:
                    status = file.stat()
                    if self._synced.get((status.st_dev, status.st_ino), 0) < status.st_mtime_ns:
                        self.problems.append(f"{file.name} was not synced before it became {name}")
            function(source, target, **more)
            if final:
                self._waiting[os.path.dirname(os.path.abspath(target))] = name

        return rename


def power(room: Room, moments: random.Random) -> tuple[Outcome, Counter[str]]:
    """Record the order of writes of an undisturbed work."""
    recorder, found = Recorder(room.out), room.folder / "order.json"
    outcome = room.disturbed(_nothing, recorder.start, lambda: recorder.report(found))
    order = json.loads(found.read_text())
    found.unlink()
    counts = room.judged(outcome)
    counts["renames"] += order["renames"]
    counts["wrong order"] += len(order["problems"])
    for problem in order["problems"]:
        print(problem, file=sys.stderr)
    return outcome, counts


TRIALS: Mapping[str, Callable[[Room, random.Random], tuple[Outcome, Counter[str]]]] = {
    "kill": kill,
    "size": size,
    "disk": disk,
    "removed": removed,
    "permission": permission,
    "memory": memory,
    "power": power,
}
_ONCE = ("power",)  # nothing is random
_OF_ROOT = ("disk",)


def _obey_permissions() -> None:
    """Take from root the capabilities to write and read where permissions forbid it."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    libc.capget(header, sets)
    for k in range(2):  # effective and permitted
        sets[k] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


@contextlib.contextmanager
def _as(fault: str) -> Iterator[None]:
    """Have the privileges and the mounts that a fault needs, in a process that ends afterwards."""
    if fault == "permission" and os.getuid() == 0:
        _obey_permissions()
    if fault in _OF_ROOT:
        libc = ctypes.CDLL(None, use_errno=True)
        private, recursive, new_mounts = 1 << 18, 1 << 14, 0x00020000
        if libc.unshare(new_mounts) or libc.mount(None, b"/", None, private | recursive, None):
            raise OSError(ctypes.get_errno(), "unshare")
    yield


def measured(inputs: Path, fault: str, work: Work, times: int, seed: int, first: int = 0) -> dict[str, Any]:
    """Try a fault on a work, and return the counts and what the program showed.

    Everything happens in a process of its own, whose privileges and mounts may change.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as file:
                json.dump(_measured(inputs, fault, work, times, seed, first), file)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(process, 0)
    if not text:
        raise RuntimeError(f"{fault} of {work.name} could not be tried.")
    result: dict[str, Any] = json.loads(text)
    return result


def _measured(inputs: Path, fault: str, work: Work, times: int, seed: int, first: int = 0) -> dict[str, Any]:
    moments = random.Random(f"{seed} {fault} {work.name} {first}")
    loop._CHECKPOINT_SECONDS = unfinished._SECONDS = 0.0
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="faults-")) / "room"
    folder.parent.chmod(0o755)
    shutil.copytree(inputs, folder)
    totals, sentences = Counter[str](), Counter[str]()
    try:
        os.environ["SMDIFFUSION_HOME"] = str(folder / "home")
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        (folder / "tmp").mkdir()
        with _as(fault):
            room = Room(folder, work)
            for _ in range(times):
                room.empty()
                outcome, counts = TRIALS[fault](room, moments)
                totals.update(counts)
                if outcome.sentence:
                    sentences[outcome.sentence] += 1
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
    shown = [sentence for sentence, _ in sentences.most_common(_SENTENCES)]
    return {"fault": fault, "work": work.name, "seed": seed, **totals, "shown": shown}


_WRONG = (
    "half",
    "lost",
    "crashed",
    "hangs",
    "not completed",
    "other pixels or weights",
    "litter",
    "temporary files",
    "wrong order",
)
_TITLES = {
    "kill": "killed (SIGKILL)",
    "size": "a quota: no file may grow beyond a random size",
    "disk": "the disk is full",
    "removed": "the folder of the result is removed",
    "permission": "the folder of the result becomes read-only",
    "memory": "memory runs out",
    "power": "order of writes, for a power cut",
}
_BEGIN, _END = "<!-- drawn by benchmarks.faults -->", "<!-- end -->"


def faulty(entry: Mapping[str, Any]) -> dict[str, int]:
    """Return what was wrong in an entry, and how often."""
    return {name: int(entry[name]) for name in _WRONG if entry.get(name)}


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of all entries as Markdown."""
    lines = [
        "| fault | work | tried, of these in the middle of the work | lost or wrong | what the program shows |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        for work in WORKS:
            entry = found.get(f"{fault}: {work.name}")
            if entry is None:
                continue
            wrong = ", ".join(f"{name}: {count}" for name, count in faulty(entry).items()) or "nothing"
            tried = f"{entry['tried']}, {entry.get('disturbed', 0)}"
            if fault == "power":
                tried = f"{entry['renames']} renames"
            shown = "<br>".join(sentence.replace("|", "\\|") for sentence in entry["shown"]) or "–"
            lines.append(f"| {_TITLES[fault]} | {work.name} | {tried} | {wrong} | {shown} |")
    return "\n".join(lines)


def with_table(text: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a text in which the table between the two marks is new."""
    before, rest = text.split(_BEGIN)
    return f"{before}{_BEGIN}\n\n{table(found)}\n\n{_END}{rest.split(_END)[1]}"


def merged(known: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with the trials of two."""
    counts = {key: known.get(key, 0) + value for key, value in found.items() if type(value) is int and key != "seed"}
    kept = {key: value for key, value in known.items() if type(value) is int}
    shown = list(dict.fromkeys([*known.get("shown", ()), *found["shown"]]))[:_SENTENCES]
    return {**found, **kept, **counts, "seed": found["seed"], "shown": shown}


def measure(faults: Sequence[str], works: Sequence[Work], times: int, seed: int, *, again: bool) -> bool:
    """Measure what is missing, write it after every few trials, and return whether nothing was wrong."""
    good = True
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        prepare(inputs)
        inputs.chmod(0o755)
        for fault, work in product(faults, works):
            key = f"{fault}: {work.name}"
            known = entries(RESULT).get(key, {})
            if again or known.get("seed") != seed:
                known = {}
            if fault in _OF_ROOT and os.getuid():
                print(f"{key} needs root: it is left out.")
                continue
            wanted = 1 if fault in _ONCE else times
            while (tried := known.get("tried", 0)) < wanted:
                found = measured(inputs, fault, work, min(_TOGETHER, wanted - tried), seed, tried)
                known = merged(known, found)
                save_entry(RESULT, key, known)
            good &= not faulty(known)
    return good


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="trials of each fault and work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=FAULTS, help="faults")
    parser.add_argument("--works", nargs="+", choices=[work.name for work in WORKS], help="works; all if left out")
    parser.add_argument("--again", action="store_true", help="measure also what is measured already")
    parser.add_argument("--draw", action="store_true", help="draw the table in docs/limits.md, and measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    options = read_arguments()
    if options.draw:
        TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8"), entries(RESULT)), encoding="utf-8")
        sys.exit()
    chosen = [work for work in WORKS if options.works is None or work.name in options.works]
    sys.exit(not measure(options.only, chosen, options.times, options.seed, again=options.again))
