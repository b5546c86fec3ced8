"""The button that enhances a folder of files into another folder, without opening them as layers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QPushButton

from ...base.errors import is_user_error, sentence_of
from ...base.events import Note, PartBegun, PartDone, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...base.events import Event, Steps, Stop
    from ...recipes.enhance import EnhanceJob
    from ...recipes.enhance_results import EnhanceResult
    from .model_menu import Frame


class EnhanceFolder(QPushButton):
    """*Enhance a folder …*: asks for two folders, and enhances the TIFF files of the first into the second.

    Parameters
    ----------
    frame
        The dock that runs the work.
    make_job
        Function that returns the job for two folders from the form of the dock.
    """

    def __init__(self, frame: Frame, make_job: Callable[[Path, Path], EnhanceJob]) -> None:
        super().__init__("Enhance a folder …")
        self.setObjectName("enhance folder")
        self.setToolTip(
            "enhance the TIFF files of a folder into another folder, with the settings above. Files that an earlier "
            "run enhanced alike are skipped. The table enhanced.csv lists what became of each file."
        )
        self._frame, self._make_job = frame, make_job
        self.clicked.connect(self.run)

    def run(self) -> None:
        """Ask for the folders, and start the work."""
        widefield = QFileDialog.getExistingDirectory(self, "Folder of widefield images")
        out = QFileDialog.getExistingDirectory(self, "Folder for the enhanced images", widefield) if widefield else ""
        if not out:
            return
        try:
            job = self._make_job(Path(widefield), Path(out))
        except Exception as error:
            if not is_user_error(error):
                raise
            self._frame.show_failure(sentence_of(error))
            return
        self._frame.start(job.title, partial(folder_steps, job), outcome)


def folder_steps(job: EnhanceJob, stop: Stop) -> Steps[EnhanceResult]:
    """Do a job on a folder. Its progress counts the images that failed, and its results are shown in no layer.

    The messages about single images, of which there can be thousands, are in the table of the folder.
    """
    index, done = -1, 0  # of the image in work; number of finished ones
    with closing(job.steps(stop)) as steps:
        while True:
            try:
                event: Event = next(steps)
            except StopIteration as finished:
                return finished.value  # type: ignore[no-any-return]  # it carries the generator's result
            if isinstance(event, PartBegun):
                index = event.index
            elif isinstance(event, PartDone):
                done += 1
            elif isinstance(event, Progress):
                failed = index - done
                yield replace(event, detail=f"{event.detail}, {failed} failed") if failed > 0 else event
            elif isinstance(event, Note) and index < 0:
                yield event


def outcome(result: EnhanceResult) -> str:
    """Return the numbers of images and failures, and where the table is."""
    failed = {failure.index for failure in result.failures}
    sentences = [f"{len(result.images)} of {result.count} images are enhanced."]
    if failed:
        sentences.append(f"{len(failed)} failed or lack{'s its' if len(failed) == 1 else ' their'} error map.")
    if result.stopped:
        sentences.append("The work was stopped: the same again goes on with the images that are left.")
    return " ".join([*sentences, f"{result.table} lists what became of each file."])
