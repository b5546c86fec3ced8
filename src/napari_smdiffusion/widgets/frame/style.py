"""The parts of the docks' look that napari's themes leave out: the focus of buttons, and boxes that are not ticked.

The button "☰" has no arrow of a menu, which would be drawn over it.

The colors are visible on napari's dark and light backgrounds, and for all kinds of color vision.
"""

_FOCUS, _BORDER = "#56B4E9", "#8A8A8A"
_WARNING = "#E69F00"
_TICKED, _TICKED_LIGHT = "#0072B2", "#56B4E9"  # behind napari's tick, which is dark in its light theme


def style(theme: str) -> str:
    """Return the style sheet of a dock for a theme of napari."""
    ticked = _TICKED_LIGHT if theme == "light" else _TICKED
    return f"""
QPushButton:focus, QToolButton:focus {{ border: 2px solid {_FOCUS}; }}
QCheckBox:focus, QRadioButton:focus {{ border: 1px solid {_FOCUS}; }}
QComboBox:focus, QAbstractSpinBox:focus, QLineEdit:focus, QListView:focus {{ border: 1px solid {_FOCUS}; }}
QCheckBox::indicator, QRadioButton::indicator:unchecked {{ border: 1px solid {_BORDER}; }}
QLabel#warning {{ border: 1px solid {_WARNING}; border-left: 5px solid {_WARNING}; padding: 4px; }}
QToolButton#small {{ border: 1px solid {_BORDER}; border-radius: 2px; padding: 0px 5px; }}
QToolButton#small:focus {{ border: 1px solid {_FOCUS}; }}
QToolButton::menu-indicator {{ image: none; }}
QListView::item {{ padding: 2px; }}
QListView::indicator {{ width: 14px; height: 14px; border: 1px solid {_BORDER}; border-radius: 2px; }}
QListView::indicator:checked {{ background-color: {ticked}; image: url("theme_{theme}:/check.svg"); }}
"""
