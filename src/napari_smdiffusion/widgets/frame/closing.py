"""Names the running work in the question that napari asks before it closes.

napari names it if the window's own button closes the window, but not after Ctrl+W and Ctrl+Q.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDialog, QLabel

if TYPE_CHECKING:
    from qtpy.QtCore import QChildEvent
    from qtpy.QtWidgets import QWidget

    from .background import BackgroundRun

_DIALOG = "ConfirmCloseDialog"  # napari's class


class NamesWork(QObject):
    """Adds the title of a run to the dialog while it is running.

    Parameters
    ----------
    run
        The run, which is the parent too.
    window
        napari's window.
    """

    def __init__(self, run: BackgroundRun, window: QWidget) -> None:
        super().__init__(run)
        self._run, self._title = run, run.title
        window.installEventFilter(self)  # Qt removes it with this object

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Add the title to a dialog that is about to be shown. All events pass."""
        if event.type() == QEvent.Type.ChildPolished and self._run.running:
            self._name_in(event)
        return False

    def _name_in(self, event: QChildEvent) -> None:
        dialog = event.child()
        if not isinstance(dialog, QDialog) or type(dialog).__name__ != _DIALOG:
            return
        labels = [label for label in dialog.findChildren(QLabel) if label.text()]
        if labels and not any(self._title in label.text() for label in labels):
            labels[0].setText(f"{labels[0].text()}\n\nStill running: {self._title}. It would be stopped.")
