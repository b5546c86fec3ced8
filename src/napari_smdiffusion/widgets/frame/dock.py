"""The frame of all docks: a form, Run and Stop, progress with the time left, a status line, Copy as Python."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, ClassVar

from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QGuiApplication, QKeySequence, QShowEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from ...base.events import Event, Note, Progress, Steps, Stop
from ...base.terminal import clock
from ..parts.numbers import NumberField
from ..parts.plain import make_plain, plain_label, plain_message
from ..viewer.layer_source import with_copied_layers
from ..viewer.layer_watch import watch_file_facts
from .background import BackgroundRun, error_message
from .bottom import Bottom
from .closing import NamesWork
from .form_area import FormArea
from .help import REFERENCE, show_help
from .preload import preload
from .remembered import recall, remember
from .scripts import job_code
from .style import style
from .tabs import join_tabs, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.viewer import Viewer

    from ...recipes.job import Job


_BAR = 1000  # steps of the progress bar
LONG = 30.0  # s; the end of a longer run is a notification


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
        self._started = 0.0  # time.monotonic() at the start of this run, in s
        self._placed = False  # whether the dock was shown before
        self._content = QWidget()
        self.form = QVBoxLayout(self._content)
        self.form.setContentsMargins(0, 0, 0, 0)
        inside = QWidget()
        self.results = QVBoxLayout(inside)  # below the form; not locked during a run
        self.results.setContentsMargins(0, 0, 0, 0)
        self.results.addWidget(self._content)
        bottom = Bottom()
        self.run_button, self.stop_button, self.copy_button = bottom.run, bottom.stop, bottom.copy
        self.progress, self.status, self._status_area = bottom.progress, bottom.status.label, bottom.status
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self.stop)
        self.copy_button.clicked.connect(self.copy_code)
        bottom.help.clicked.connect(self.show_help)
        bottom.cite.clicked.connect(self.copy_reference)
        watch_file_facts(self.viewer, self)
        self.build_form()
        # After the form is complete: the Tab key then leads from its last field to Run.
        self.area = FormArea(inside)
        layout = QVBoxLayout(self)
        layout.addWidget(self.area, 1)
        layout.addWidget(bottom)
        self._finish_form()

    def sizeHint(self) -> QSize:
        """Return a larger size than napari's default for a dock."""
        return QSize(380, 640)

    def minimumSizeHint(self) -> QSize:
        """Return the size of a narrow and low dock. A form that is higher scrolls."""
        return QSize(300, 180)

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
        """Take the place among the other docks, and load the module that Run needs while the user fills in the form."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            join_tabs(self, self.key.capitalize())
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
            If a field of the form must be changed; the message names the field.
        """
        raise NotImplementedError

    def code(self) -> str:
        """Return Python code that does the same as Run. Raises the errors of `job`."""
        return job_code(self.job(), viewer=self.viewer)

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
        self._commit()
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
        self._notes, self._started = [], time.monotonic()
        run.happened.connect(lambda events: self._show_events(run, events))
        run.returned.connect(lambda value: self._returned(run, value, on_result))
        run.stopped.connect(lambda message: self._ended(run, message, failed=False))
        run.failed.connect(lambda message: self._ended(run, message, failed=True))
        self._lock(True)
        self.show_status(f"{title[0].upper()}{title[1:]} …")
        self.progress.setRange(0, 0)
        if (window := window_of(self)) is not None:
            NamesWork(run, window)
        run.start()

    def stop(self) -> None:
        """Ask the work to stop and keep its finished results."""
        if self.background is not None and self.background.running:
            self.background.stop()
            self.stop_button.setEnabled(False)
            self.show_status("Stopping …")

    def copy_code(self) -> None:
        """Copy the code to the clipboard."""
        self._commit()
        try:
            code = self.code()
        except Exception as error:
            self.show_failure(error_message(error, "copying the code"))
            return
        _copy(code)
        self.show_status("The code is on the clipboard: paste it into napari's console or into a script.")

    def show_help(self) -> None:
        """Show the page about this dock."""
        show_help(self, self.key)

    def copy_reference(self) -> None:
        """Copy the reference of the method to the clipboard, and show it."""
        _copy(REFERENCE)
        self.show_status(f"The reference is on the clipboard: {REFERENCE}")

    def add_note(self, message: str) -> None:
        """Show a message in the status line, and keep it for the final message of this run."""
        self.show_status(message)
        if message not in self._notes:
            self._notes.append(message)

    def drop_notes(self, messages: Sequence[str]) -> None:
        """Leave messages out of the final message of this run."""
        self._notes = [note for note in self._notes if note not in messages]

    def show_status(self, message: str) -> None:
        """Show a message in the status line."""
        self._status_area.show_message(message)

    def show_failure(self, message: str) -> None:
        """Show a message in the status line and as a napari notification."""
        self.show_status(message)
        show_error(plain_message(message))

    def _finish_form(self) -> None:
        """Finish the form and show the remembered settings."""
        self.results.addStretch(1)
        for field in [*self._content.findChildren(QAbstractSpinBox), *self._content.findChildren(QComboBox)]:
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # no focus by the wheel
            field.installEventFilter(self)
        make_plain(self)
        self._restyle()
        self.viewer.events.theme.connect(self._restyle)  # napari holds the method weakly
        for keys in ("Ctrl+Return", "Ctrl+Enter"):  # the second one is on the keypad
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(self.run)
        self.show_settings(recall(self.key))

    def _restyle(self, event: object = None) -> None:
        """Use the look for napari's theme."""
        if isalive(self):
            self.setStyleSheet(style(self.viewer.theme))

    def _commit(self) -> None:
        """Take the number that the user is typing: a shortcut, and a click on some systems, leaves the focus there."""
        for field in self._content.findChildren(NumberField):
            field.commit()

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
                self.add_note(event.message)
        steps = [event for event in events if isinstance(event, Progress)]
        if steps:
            self._show_progress(steps[-1])
        self.on_events(events)

    def _show_progress(self, event: Progress) -> None:
        if not event.total:
            self.progress.setRange(0, 0)
            return
        parts = [f"{event.stage} {event.detail or f'{event.step}/{event.total}'}"]
        if event.loss is not None:
            parts.append(f"loss {event.loss:.3f}")
        if math.isfinite(event.seconds_left):
            parts.append(f"{clock(event.seconds_left)} left")
        share = event.step / event.total if event.share is None else event.share
        self.progress.setRange(0, _BAR)
        self.progress.setValue(round(share * _BAR))
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
        self.area.rest()
        self._lock(False)
        self.progress.setRange(0, 1)
        self.progress.setValue(0 if failed else 1)
        self.progress.setFormat("")
        try:
            self.on_end()
        except Exception as error:
            message, failed = f"{message} {error_message(error, 'cleaning up')}", True
        if failed:
            show_error(plain_message(message))
        elif time.monotonic() - self._started > LONG and not run.stop_requested:
            show_info(plain_message(message))
        # A note may come together with the result, so the last message repeats all notes.
        self.show_status("\n".join([message, *self._notes]))


def heading(text: str) -> QLabel:
    """Return a heading of a form."""
    return plain_label(text, bold=True)


def _copy(text: str) -> None:
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
