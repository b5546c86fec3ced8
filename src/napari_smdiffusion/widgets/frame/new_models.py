"""Announces newly trained models to the docks that use them, now or when they are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from .remembered import recall, remember

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from ...store.folder import Kind

_KEY = "new models"  # of the remembered names, by kind of model


class _Announcements(QObject):
    trained = Signal(str, str)  # kind and name


class ChoosesModel(Protocol):
    """A widget in which a model can be chosen."""

    def choose_new(self, kind: str, name: str) -> None:
        """Choose a newly trained model if the widget uses models of its kind. A method of a QObject."""


# One per viewer: a model that was trained in one viewer is not chosen in another.
_OF_VIEWER: WeakKeyDictionary[ViewerModel, _Announcements] = WeakKeyDictionary()


def announce_model(viewer: ViewerModel, kind: Kind, name: str) -> None:
    """Choose a newly trained model in all open docks that use its kind, and in the next one that is opened."""
    remember(_KEY, {**recall(_KEY), kind: name})
    _announcements(viewer).trained.emit(kind, name)


def subscribe(viewer: ViewerModel, widget: ChoosesModel) -> None:
    """Have `widget` choose all models that are announced in `viewer`, and those that no dock has used yet.

    The connection ends with the widget: Qt disconnects the methods of a deleted object.
    """
    _announcements(viewer).trained.connect(widget.choose_new)
    for kind, name in recall(_KEY).items():
        widget.choose_new(kind, str(name))


def forget_model(kind: Kind) -> None:
    """Forget the new model of this kind, once the user has chosen a model for a run."""
    others = {key: name for key, name in recall(_KEY).items() if key != kind}
    if others != recall(_KEY):
        remember(_KEY, others)


def _announcements(viewer: ViewerModel) -> _Announcements:
    return _OF_VIEWER.setdefault(viewer, _Announcements())
