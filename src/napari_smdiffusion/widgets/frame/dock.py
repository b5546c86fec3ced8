"""The frame of all docks: a form, Run and Stop, progress with the time left, a status line, Copy as Python."""

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
from ..viewer.layer_watch import watch_file_facts
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
    """The frame of a dock. A subclass defines `build_form`, `job` and `on_result`, and other methods as needed."""

    key: ClassVar[str]  # of its remembered settings
    preload_module: ClassVar[str]  # full name of the module that Run needs

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari passes a proxy that wraps a layer in a new object at each access; layers are compared by identity here.
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
        self.run_button = _button("Run", "start the work; the form is locked until it ends")
        self.stop_button = _button("Stop", "stop soon, and keep the results that are finished")
        self.stop_button.setEnabled(False)
        self.copy_button = _button(
            "Copy as Python", "copy Python code that does the same, for napari's console or a script"
        )
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
        watch_file_facts(self.viewer, self)
        self.build_form()
        self._finish_form()

    def sizeHint(self) -> QSize:
        """Return a larger size than napari's default for a dock."""
        return QSize(380, 640)

    def minimumSizeHint(self) -> QSize:
        """Return the size of a narrow dock. A form that is higher scrolls."""
        return QSize(300, 240)

    def changeEvent(self, event: QEvent) -> None:
        """Stop the work and clean up when napari removes the dock from its window.

        napari has no signal for the removal. It takes the dock out of its frame, and deletes only the frame.
        """
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._close_down()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the mouse wheel scroll the form instead of changing the field under the cursor."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))

    def showEvent(self, event: QShowEvent) -> None:
        """Load the module that Run needs while the user fills in the form."""
        super().showEvent(event)
        preload(self.preload_module)

    # Methods that subclasses define.

    def build_form(self) -> None:
        """Make the fields and add them to `self.form`. Remembered settings are shown afterwards."""
        raise NotImplementedError

    def job(self) -> Job[Any]:
        """Return the job that the form describes. It may share pixels with the layers: `run` copies them.

        Raises
        ------
        InputError, OSError
            If a field of the form must be changed; the message says which.
        """
        raise NotImplementedError

    def code(self) -> str:
        """Return Python code that does the same as Run. Raises the errors of `job`."""
        return job_code(self.job())

    def on_start(self, job: Any) -> None:
        """Prepare for the run of a job and for its result. May raise the errors of `job`."""

    def thread_steps(self, job: Any) -> Callable[[Stop], Steps[Any]]:
        """Return the steps that the thread runs. They must not refer to the dock: a thread must not delete a widget."""
        steps: Callable[[Stop], Steps[Any]] = job.steps
        return steps

    def on_events(self, events: Sequence[Event]) -> None:
        """Show new events."""

    def on_result(self, result: Any) -> str:
        """Show the result, and return one sentence for the status line."""
        raise NotImplementedError

    def on_end(self) -> None:
        """Clean up after a success or a failure."""

    def on_close(self) -> None:
        """Tidy up the layers. Later events of a run are not delivered."""

    def settings(self) -> dict[str, Any]:
        """Return the settings to remember, as plain values."""
        return {}

    def show_settings(self, values: dict[str, Any]) -> None:
        """Show remembered settings. Values that are no longer valid are left out."""

    # Methods that all docks share.

    @property
    def running(self) -> bool:
        """Whether a run is in progress."""
        return self.background is not None and self.background.running

    def run(self) -> None:
        """Start the job that the form describes."""
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
        """Run steps in a thread with the form locked, and pass their result to `on_result`."""
        self.background = run = BackgroundRun(title, steps, self)
        self._notes = []
        run.happened.connect(lambda events: self._show_events(run, events))
        run.returned.connect(lambda value: self._returned(run, value, on_result))
        run.stopped.connect(lambda message: self._ended(run, message, failed=False))
        run.failed.connect(lambda message: self._ended(run, message, failed=True))
        self._lock(True)
        self.show_status(f"{title[0].upper()}{title[1:]} …")
        self.progress.setRange(0, 0)
        run.start()

    def stop(self) -> None:
        """Ask the work to stop and keep its finished results."""
        if self.background is not None and self.background.running:
            self.background.stop()
            self.stop_button.setEnabled(False)
            self.show_status("Stopping …")

    def copy_code(self) -> None:
        """Copy the code to the clipboard."""
        try:
            code = self.code()
        except Exception as error:
            self.show_failure(error_message(error, "copying the code"))
            return
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(code)
        self.show_status("The code is on the clipboard: paste it into napari's console or into a script.")

    def show_status(self, message: str) -> None:
        """Show a message in the status line."""
        self.status.setText(message)

    def show_failure(self, message: str) -> None:
        """Show a message in the status line and as a napari notification."""
        self.show_status(message)
        show_error(message)

    def _finish_form(self) -> None:
        """Finish the form and show the remembered settings."""
        self.form.addStretch(1)
        for field in [*self._content.findChildren(QAbstractSpinBox), *self._content.findChildren(QComboBox)]:
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # no focus by the wheel
            field.installEventFilter(self)
        self.show_settings(recall(self.key))

    def _close_down(self) -> None:
        self.stop()
        if self.background is not None:
            self.background.deliver()  # results since the last tick of the timer
        self.on_close()
        self.background = None  # discards its later events
        # Without this, a widget that has no parent lives until Python's garbage collector finds it.
        self.deleteLater()

    def _lock(self, locked: bool) -> None:
        self._content.setEnabled(not locked)
        self.run_button.setEnabled(not locked)
        self.stop_button.setEnabled(locked)

    def _show_events(self, run: BackgroundRun, events: Sequence[Event]) -> None:
        if run is not self.background:
            return
        for event in events:
            if isinstance(event, Note):
                self.show_status(event.message)
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
        parts = [f"{event.stage} {event.step}/{event.total}"]
        if event.loss is not None:
            parts.append(f"loss {event.loss:.3f}")
        if math.isfinite(event.seconds_left):
            parts.append(f"{clock(event.seconds_left)} left")
        self.progress.setRange(0, event.total)
        self.progress.setValue(event.step)
        self.progress.setFormat(", ".join(parts))

    def _returned(self, run: BackgroundRun, value: Any, on_result: Callable[[Any], str]) -> None:
        if run is not self.background:
            return
        try:
            message, failed = on_result(value), False
        # No exception may leave the form locked.
        except Exception as error:
            message, failed = error_message(error, f"showing the result of {run.title}"), True
        self._ended(run, message, failed=failed)

    def _ended(self, run: BackgroundRun, message: str, *, failed: bool) -> None:
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
            message, failed = f"{message} {error_message(error, 'cleaning up')}", True
        if failed:
            show_error(message)
        # A note may come together with the result, so the last message repeats all notes.
        self.show_status("\n".join([message, *self._notes]))


class Folded(QWidget):
    """A section of a form that is hidden until its heading is clicked.

    superqt's `QCollapsible` is no replacement. The Tab key stops at its hidden fields, and its arrow keeps the color of
    the theme in which it was made: black on black in napari's dark theme.
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
    """Return a heading of a form."""
    label = QLabel(f"<b>{text}</b>")
    label.setWordWrap(True)
    return label


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(text)
    button.setToolTip(tooltip)
    return button
