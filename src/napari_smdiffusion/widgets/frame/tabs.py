"""Docks of this plugin open as tabs of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDockWidget, QMainWindow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def frame_of(dock: QWidget) -> QDockWidget | None:
    """Return the frame that napari puts around a dock, or None before that."""
    frame = dock.parentWidget()
    return frame if isinstance(frame, QDockWidget) else None


def window_of(dock: QWidget) -> QMainWindow | None:
    """Return napari's window, also if the dock floats; None if the dock is in no window of napari."""
    frame = frame_of(dock)
    window = None if frame is None else frame.parentWidget()
    return window if isinstance(window, QMainWindow) else None


def join_tabs(dock: QWidget, title: str) -> None:
    """Make a dock that was just opened a tab of the plugin's docks in the same place of the window.

    Without this, napari puts each dock under the last one, and the lowest ones do not fit on a screen. Other docks
    stay where they are: a dock that the user floats, or puts to another side, gets no tabs there.

    Parameters
    ----------
    dock
        The dock. Docks of the same class, or with a common base class beside QWidget, belong together.
    title
        Short title for the tab.
    """
    frame, window = frame_of(dock), window_of(dock)
    if frame is None or window is None:
        return
    frame.setWindowTitle(title)
    if frame.isFloating() or window.tabifiedDockWidgets(frame):
        return
    area = window.dockWidgetArea(frame)
    ours = type(dock).__mro__[1]
    beside = [
        other
        for other in window.findChildren(QDockWidget)
        if other is not frame
        and isinstance(other.widget(), ours)
        and not other.isFloating()
        and not other.isHidden()
        and window.dockWidgetArea(other) == area
    ]
    if beside:
        window.tabifyDockWidget(beside[-1], frame)
        frame.raise_()
