"""What all docks have in common: a form, Run and Stop, progress with the time left, a status line, Copy as Python."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...base.events import Event, Note, Progress, Steps, Stop
from ...base.terminal import clock
from ..viewer.layer_watch import keep_file_facts
from ..viewer.layers import with_copied_layers
from .background import BackgroundRun, error_message
from .preload import preload
from .remembered import recall, remember
from .scripts import job_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.viewer import Viewer

    from ...recipes.job import Job


class Dock(QWidget):
    """The frame of a dock: a subclass fills in `build_form`, `job` and `on_result`, and others where it needs them."""

    key: ClassVar[str]  # under which its settings are remembered
    preload_module: ClassVar[str]  # full name of the module that Run needs

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari hands plugins a proxy that wraps every layer anew each time; here it matters which layer is which.
        self.viewer: Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.background: BackgroundRun | None = None
        self._notes: list[str] = []  # of this run
        self._content = QWidget()
        self.form = QVBoxLayout(self._content)
        self.form.setContentsMargins(0, 0, 0, 0)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._content)
        self.run_button = _button("Run", "start; the form is locked while it runs")
        self.stop_button = _button("Stop", "stop soon, and keep what was made so far")
        self.stop_button.setEnabled(False)
        self.copy_button = _button("Copy as Python", "copy code that does the same, for napari's console or a script")
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.setRange(0, 1)
        self.progress.setFormat("")
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.status.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        buttons = QHBoxLayout()
        for button in (self.run_button, self.stop_button, self.copy_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(scroll, 1)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.status)
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)
        self.copy_button.clicked.connect(self.copy_code)
        keep_file_facts(self.viewer, self)
        self.build_form()
        self._finish_form()

    def sizeHint(self) -> QSize:
        """Ask for more room than napari gives a dock by itself."""
        return QSize(380, 640)

    def minimumSizeHint(self) -> QSize:
        """Fit into a narrow dock; what is higher scrolls."""
        return QSize(300, 240)

    def changeEvent(self, event: QEvent) -> None:
        """Close down when napari removes the dock from its window: the work stops, and keeps what it has made.

        napari has no signal for that. It takes the dock out of its frame, and deletes the frame alone.
        """
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._close_down()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the wheel scroll the form, rather than change the number or choice that comes under it meanwhile."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))

    def showEvent(self, event: QShowEvent) -> None:
        """Load what Run needs while the form is being filled in."""
        super().showEvent(event)
        preload(self.preload_module)

    # What subclasses fill in.

    def build_form(self) -> None:
        """Make the fields and add them to `self.form`; what was remembered is shown afterwards."""
        raise NotImplementedError

    def job(self) -> Job[Any]:
        """Return the job that the form describes. It may hold the layers' own pixels: `run` copies them.

        Raises
        ------
        InputError, OSError
            With a sentence, if the form does not fit.
        """
        raise NotImplementedError

    def code(self) -> str:
        """Return Python code that does what Run does; raises as `job`."""
        return job_code(self.job())

    def on_start(self, job: Any) -> None:
        """Prepare for the work of a job, and make room for its result; may raise as `job`."""

    def thread_steps(self, job: Any) -> Callable[[Stop], Steps[Any]]:
        """Return what the thread does for a job. It must not refer to the dock: no thread may delete a widget."""
        steps: Callable[[Stop], Steps[Any]] = job.steps
        return steps

    def on_events(self, events: Sequence[Event]) -> None:
        """Show what has happened."""

    def on_result(self, result: Any) -> str:
        """Take the result, and return what to say of it in one sentence."""
        raise NotImplementedError

    def on_end(self) -> None:
        """Clean up after success and failure alike."""

    def on_close(self) -> None:
        """Leave the layers tidy; what is still running will not be heard of again."""

    def settings(self) -> dict[str, Any]:
        """Return what is to be remembered, as plain values."""
        return {}

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show what was remembered; what no longer fits is left out."""

    # What they have in common.

    @property
    def running(self) -> bool:
        """Whether work is being done."""
        return self.background is not None and self.background.running

    def run(self) -> None:
        """Start what the form says."""
        if self.running:
            return
        try:
            job = with_copied_layers(self.job())
            self.on_start(job)
        except Exception as error:
            self.show_failure(error_message(error, "starting"))
            return
        remember(self.key, self.settings())
        self.start(job.title, self.thread_steps(job), self.on_result)

    def start(self, title: str, steps: Callable[[Stop], Steps[Any]], on_result: Callable[[Any], str]) -> None:
        """Do some steps in a thread, with the form locked, and pass their result on."""
        self.background = run = BackgroundRun(title, steps, self)
        self._notes = []
        run.happened.connect(lambda events: self._happened(run, events))
        run.returned.connect(lambda value: self._returned(run, value, on_result))
        run.stopped.connect(lambda sentence: self._ended(run, sentence, failed=False))
        run.failed.connect(lambda sentence: self._ended(run, sentence, failed=True))
        self._lock(True)
        self.say(f"{title[0].upper()}{title[1:]} …")
        self.progress.setRange(0, 0)
        run.start()

    def stop(self) -> None:
        """Ask the work to stop and keep what it has made."""
        if self.background is not None and self.background.running:
            self.background.stop()
            self.stop_button.setEnabled(False)
            self.say("Stopping …")

    def copy_code(self) -> None:
        """Put the code onto the clipboard."""
        try:
            code = self.code()
        except Exception as error:
            self.show_failure(error_message(error, "copying the code"))
            return
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(code)
        self.say("The code is on the clipboard: paste it into napari's console or a script.")

    def say(self, sentence: str) -> None:
        """Show a sentence in the status line."""
        self.status.setText(sentence)

    def show_failure(self, sentence: str) -> None:
        """Show a sentence in the status line and as a notification of napari."""
        self.say(sentence)
        show_error(sentence)

    def _finish_form(self) -> None:
        """End the form and show what was remembered."""
        self.form.addStretch(1)
        for field in [*self._content.findChildren(QAbstractSpinBox), *self._content.findChildren(QComboBox)]:
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # not by the wheel
            field.installEventFilter(self)
        self.show_settings(recall(self.key))

    def _close_down(self) -> None:
        self.stop()
        if self.background is not None:
            self.background.deliver()  # what was finished since the timer's last tick
        self.on_close()
        self.background = None  # nobody is left to receive its later events
        # A widget without a parent lives until Python's garbage collector deletes it, which may be much later.
        self.deleteLater()

    def _lock(self, locked: bool) -> None:
        self._content.setEnabled(not locked)
        self.run_button.setEnabled(not locked)
        self.stop_button.setEnabled(locked)

    def _happened(self, run: BackgroundRun, events: Sequence[Event]) -> None:
        if run is not self.background:
            return
        for event in events:
            if isinstance(event, Note):
                self.say(event.message)
                if event.message not in self._notes:
                    self._notes.append(event.message)
        steps = [event for event in events if isinstance(event, Progress)]
        if steps:
            self._show_progress(steps[-1])
        self.on_events(events)

    def _show_progress(self, event: Progress) -> None:
        if not event.total:
            self.progress.setRange(0, 0)
            return
        said = [f"{event.stage} {event.step}/{event.total}"]
        if event.loss is not None:
            said.append(f"loss {event.loss:.3f}")
        if math.isfinite(event.seconds_left):
            said.append(f"{clock(event.seconds_left)} left")
        self.progress.setRange(0, event.total)
        self.progress.setValue(event.step)
        self.progress.setFormat(", ".join(said))

    def _returned(self, run: BackgroundRun, value: Any, on_result: Callable[[Any], str]) -> None:
        if run is not self.background:
            return
        try:
            said, failed = on_result(value), False
        # Whatever it is, it must not leave the form locked.
        except Exception as error:
            said, failed = error_message(error, f"showing the result of {run.what}"), True
        self._ended(run, said, failed=failed)

    def _ended(self, run: BackgroundRun, sentence: str, *, failed: bool) -> None:
        if run is not self.background:
            return
        self.background = None
        run.deleteLater()
        self._lock(False)
        self.progress.setRange(0, 1)
        self.progress.setValue(0 if failed else 1)
        self.progress.setFormat("")
        try:
            self.on_end()
        except Exception as error:
            sentence, failed = f"{sentence} {error_message(error, 'cleaning up')}", True
        if failed:
            show_error(sentence)
        # The notes came while it ran, and often in the same moment as its result.
        self.say("\n".join([sentence, *self._notes]))


class Folded(QWidget):
    """A part of a form that is folded away under a heading until it is clicked.

    superqt's `QCollapsible` is no replacement: the Tab key still stops at fields that it has folded away, and its arrow
    keeps the color of the theme that it was made under, black on black in napari's dark one.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self.content = content
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        self.button.setAutoRaise(True)
        self.button.toggled.connect(self._unfold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(content)
        content.setVisible(False)

    def _unfold(self, open_: bool) -> None:
        self.content.setVisible(open_)
        self.button.setArrowType(Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow)


def heading(text: str) -> QLabel:
    """Return a heading within a form."""
    label = QLabel(f"<b>{text}</b>")
    label.setWordWrap(True)
    return label


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(text)
    button.setToolTip(tooltip)
    return button
