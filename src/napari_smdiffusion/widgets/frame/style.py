"""The parts of the docks' look that napari's themes leave out: the focus of buttons, and boxes that are not ticked.

The colors are visible on napari's dark and light backgrounds, and for all kinds of color vision.
"""

_FOCUS, _BORDER, _TICKED = "#56B4E9", "#8A8A8A", "#0072B2"


def style(theme: str) -> str:
    """Return the style sheet of a dock for a theme of napari."""
    return f"""
QPushButton:focus, QToolButton:focus {{ border: 2px solid {_FOCUS}; }}
QCheckBox:focus, QRadioButton:focus {{ border: 1px solid {_FOCUS}; }}
QComboBox:focus, QAbstractSpinBox:focus, QLineEdit:focus, QListView:focus {{ border: 1px solid {_FOCUS}; }}
QCheckBox::indicator, QRadioButton::indicator:unchecked {{ border: 1px solid {_BORDER}; }}
QListView::item {{ padding: 2px; }}
QListView::indicator {{ width: 14px; height: 14px; border: 1px solid {_BORDER}; border-radius: 2px; }}
QListView::indicator:checked {{ background-color: {_TICKED}; image: url("theme_{theme}:/check.svg"); }}
"""
