"""Choices in QGIS's dialogs: they show labels, and give the words that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processing.gui.wrappers import dialogTypes
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingModelChildParameterSource,
    QgsProcessingParameterEnum,
)
from qgis.gui import (
    QgsGui,
    QgsProcessingGui,
    QgsProcessingModelerParameterWidget,
    QgsProcessingMultipleSelectionDialog,
)
from qgis.PyQt.QtWidgets import QComboBox, QLineEdit, QStackedWidget, QToolButton, QWidget


class Labelled:
    """Makes QGIS's own wrapper of a choice, and puts labels where that shows words.

    Toolbox, batch and modeler ask for a wrapper by calling the class that the parameter's metadata
    name, whatever it makes. A QGIS that does not ask, or has other widgets, shows the words.
    """

    def __new__(
        cls,
        parameter: QgsProcessingParameterEnum,
        dialog: Any,
        row: int,
        column: int,
        labels: Mapping[str, str],
    ) -> Any:
        """Return the wrapper, which in the modeler is a widget itself."""
        registry = QgsGui.processingGuiRegistry()
        kind = dialogTypes.get(type(dialog).__name__, QgsProcessingGui.WidgetType.Standard)
        if kind == QgsProcessingGui.WidgetType.Modeler:
            wrapper = registry.createModelerParameterWidget(
                dialog.model, dialog.childId, parameter, dialog.context
            )
            pages = wrapper.findChild(QStackedWidget)
            widget = pages.widget(0) if pages else None  # the others are for other sources
        else:
            wrapper = registry.createParameterWidgetWrapper(parameter, kind)
            widget = wrapper.createWrappedWidget(QgsProcessingContext())
        wrapper.setDialog(dialog)
        # Kept with the wrapper, which the dialog keeps: nothing else owns them yet.
        wrapper.labelled = widget
        if isinstance(widget, QComboBox):
            _label_box(widget, labels)
        elif widget and widget.findChild(QLineEdit) and widget.findChild(QToolButton):
            wrapper.check_list = _CheckList(widget, wrapper, parameter, labels)
        return wrapper


def _label_box(box: QComboBox, labels: Mapping[str, str]) -> None:
    """Rename the words of a drop-down box; they stay its data, which are the values."""
    for number in range(box.count()):
        box.setItemText(number, labels.get(box.itemData(number), box.itemText(number)))


class _CheckList:
    """Tells the labels of the chosen words in a line, and lists all behind the button beside it.

    It stands in for QGIS's own list, which in 3.22 leaves words that are not chosen blank.
    """

    def __init__(
        self,
        widget: QWidget,
        wrapper: Any,
        parameter: QgsProcessingParameterEnum,
        labels: Mapping[str, str],
    ) -> None:
        self._wrapper = wrapper
        self._title = parameter.description()
        self._labels = {word: labels[word] for word in parameter.options()}
        self._line = widget.findChild(QLineEdit)
        self._button = widget.findChild(QToolButton)
        self._button.clicked.disconnect()
        self._button.clicked.connect(self._choose)
        self._line.textChanged.connect(self._tell)
        self._tell()

    def _chosen(self) -> list[str]:
        if isinstance(self._wrapper, QgsProcessingModelerParameterWidget):
            source = self._wrapper.value()  # a list where the value is no fixed one
            words = [] if isinstance(source, list) else source.staticValue()
        else:
            words = self._wrapper.parameterValue()
        return [self._labels[word] for word in words or []]

    def _tell(self) -> None:
        self._line.setText(", ".join(self._chosen()))

    def _choose(self) -> None:
        labels = list(self._labels.values())
        dialog = QgsProcessingMultipleSelectionDialog(labels, self._chosen(), self._button)
        dialog.setWindowTitle(self._title)
        if dialog.exec():
            words = dict(zip(labels, self._labels))
            self._take([words[label] for label in dialog.selectedOptions()])
        dialog.deleteLater()

    def _take(self, words: list[str]) -> None:
        if isinstance(self._wrapper, QgsProcessingModelerParameterWidget):
            source = QgsProcessingModelChildParameterSource.fromStaticValue(words)
            self._wrapper.setWidgetValue(source)
        else:
            self._wrapper.setParameterValue(words, QgsProcessingContext())
