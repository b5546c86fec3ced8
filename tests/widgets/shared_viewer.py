"""One viewer for the tests of a module: to open and close one takes longer than most tests."""

import gc
import threading
from contextlib import contextmanager
from weakref import WeakSet

import pytest


@contextmanager
def isolated():
    """Yield a `SharedViewer` in a napari application of its own, whose settings are the defaults.

    At the end no viewer and no window may be left. This is what `make_napari_viewer` does for each test.
    """
    from app_model import Application
    from napari._app_model._app import NapariApplication, _napari_names
    from napari._qt._qapp_model.qactions import init_qactions
    from napari._qt.qt_viewer import QtViewer
    from napari.plugins import _initialize_plugins
    from napari.settings import get_settings
    from qtpy.QtWidgets import QWidget

    def console(*_):
        widget = QWidget()
        widget._update_theme = lambda *_: None
        return widget

    gc.collect()
    assert not QtViewer._instances
    get_settings().reset()
    for registered in (_initialize_plugins, init_qactions):
        registered.cache_clear()
    app = NapariApplication("test_app")
    app.injection_store.namespace = _napari_names
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NapariApplication, "get_app_model", lambda *_: app)
        patch.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda _: None)
        patch.setattr("napari._qt.qt_viewer.QtViewer._get_console", console)
        patch.setattr("napari._qt.qt_main_window._QtMainWindow._save_current_window_settings", lambda _: None)
        shared = SharedViewer()
        try:
            yield shared
            shared.close()
        finally:
            Application.destroy("test_app")
            for registered in (_initialize_plugins, init_qactions):
                registered.cache_clear()


class SharedViewer:
    """A viewer that is opened when a test needs one, is as new for each test, and is closed after the last one."""

    def __init__(self):
        self._viewer = None
        self._seen = WeakSet()  # all viewers
        self._size = self._windows = None

    def ready(self):
        """Return the viewer without what the last test left; a new one, if that test closed it or left something."""
        import napari
        from qtpy.QtTest import QTest

        if self._viewer is not None and self._is_as_new():
            return self._viewer
        self.close()
        self._viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self._seen.add(self._viewer)
        window = self._viewer.window._qt_window
        QTest.qWaitForWindowExposed(window)
        window.resize(640, 480)  # to paint a larger one takes a fifth of the time of all tests
        QTest.qWait(1)
        self._size = window.size()
        self._windows = _windows()
        return self._viewer

    def leave(self, failed):
        """Close the docks of a test as its user would; after a failure, or if the test has closed it, the viewer."""
        from napari.settings import get_settings

        from napari_smdiffusion.widgets.frame.background import BackgroundRun

        get_settings().reset()
        if failed or not hasattr(self._viewer.window, "_qt_window"):
            self.close(checked=False)
            return
        docks = list(self._viewer.window._wrapped_dock_widgets.values())
        runs = [run.worker_thread for dock in docks for run in dock.findChildren(BackgroundRun)]
        self._viewer.window.remove_dock_widget("all")
        _process_events()
        _join(runs)

    def _is_as_new(self):
        """Remove what the last test left, whose variables are gone; return whether no dock and no window is left."""
        gc.collect()
        gc.freeze()  # napari collects garbage whenever a layer is removed
        _reset(self._viewer)
        self._viewer.window._qt_window.resize(self._size)
        _process_events()
        return not _is_watched(self._viewer) and _windows() <= self._windows

    def close(self, checked=True):
        """Close the viewer, if there is one, and check that nothing holds it."""
        from napari._qt.qt_viewer import QtViewer

        self._viewer = self._windows = None
        for viewer in list(self._seen):
            if hasattr(viewer.window, "_qt_window"):
                viewer.close()
        viewer = None
        _join([])
        _process_events()
        if QtViewer._instances:
            gc.unfreeze()
            gc.collect()
        left = len(QtViewer._instances)
        QtViewer._instances.clear()
        gc.freeze()  # what outlives a viewer is left out of later collections
        assert not (checked and left), "something holds a closed viewer"


def _join(runs):
    """Wait for the threads of stopped runs, and for those that preload modules: they would disturb the next test."""
    others = [t for t in threading.enumerate() if t.name.startswith(("preloading ", "looking at "))]
    for thread in [*runs, *others]:
        while thread.is_alive():
            _process_events()
            thread.join(0.01)


def _reset(viewer):
    """Give the viewer the state of a new one."""
    from napari_smdiffusion.widgets.viewer.view import scene_camera

    viewer.layers.clear()
    viewer.reset_view()
    shown = viewer.canvas.overlays if hasattr(viewer, "canvas") else viewer  # before napari 0.9
    texts = (shown.text, shown.scale_bar) if hasattr(shown, "text") else (shown.text_overlay, shown.scale_bar)
    for part in (viewer.dims, scene_camera(viewer), viewer.cursor, viewer.tooltip, *texts):
        part.reset()
    viewer.theme = "dark"


def _process_events():
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def _is_watched(viewer):
    """Return whether something of this project listens to a viewer, as a dock that an error in the log still holds."""
    from napari_smdiffusion.widgets.viewer.view import scene_camera

    groups = (viewer.events, viewer.layers.events, viewer.layers.selection.events, viewer.dims.events)
    emitters = [emitter for group in (*groups, scene_camera(viewer).events) for emitter in group.emitters.values()]
    return any(_is_of_this_project(callback) for emitter in emitters for callback in emitter.callbacks)


def _is_of_this_project(callback):
    owner = callback[0]() if isinstance(callback, tuple) else callback  # napari holds methods weakly
    module = getattr(owner, "__module__", None) or ""
    return module.startswith("napari_smdiffusion")


def _windows():
    from qtpy.QtWidgets import QApplication

    return {widget for widget in QApplication.topLevelWidgets() if widget.isVisible()}
