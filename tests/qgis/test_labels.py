"""Dialogs show labels of choices, and give the words that scripts give: real ones of QGIS."""

import gc

import pytest
from landslide_mapper.landslide_plugin.contract import choices
from landslide_mapper.landslide_plugin.contract.kinds import Choice, Several
from processing.gui import ParametersPanel
from processing.gui.AlgorithmDialog import AlgorithmDialog
from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
from processing.modeler.ModelerParametersDialog import ModelerParametersDialog
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelParameter,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QLineEdit,
    QListView,
    QToolButton,
    QTreeView,
)

pytestmark = pytest.mark.usefixtures("provider")

LOSSES, FACTORS = choices.Train.LOSS.words, choices.TerrainFactors.FACTORS.words
CHECKED = Qt.ItemDataRole.CheckStateRole
Source = QgsProcessingModelChildParameterSource


@pytest.fixture(autouse=True)
def without_main_window(monkeypatch):
    """The window that pytest-qgis fakes has none of what the dialog asks it for."""
    monkeypatch.setattr(ParametersPanel, "iface", None)


class Toolbox:
    """The dialog that a double click in the Toolbox opens."""

    def __init__(self, name):
        self.dialog = AlgorithmDialog(algorithm(name))

    def wrapper(self, key):
        return self.dialog.mainWidget().wrappers[key]

    def widget(self, key):
        return self.wrapper(key).wrappedWidget()

    def value(self, key):
        return self.wrapper(key).parameterValue()

    def give(self, key, value):
        self.wrapper(key).setParameterValue(value, QgsProcessingContext())


class Batch(Toolbox):
    """The table that Run as Batch Process opens; its first row."""

    def __init__(self, name):
        self.dialog = BatchAlgorithmDialog(algorithm(name))

    def wrapper(self, key):
        panel = self.dialog.mainWidget()
        return panel.wrappers[0][panel.parameter_to_column[key]]


class Modeler(Toolbox):
    """The dialog of a step in the graphical modeler."""

    def __init__(self, name):
        self.model = QgsProcessingModelAlgorithm("a model", "a group")
        word = QgsProcessingParameterString("word", "Word")
        self.model.addModelParameter(word, QgsProcessingModelParameter("word"))
        self.dialog = ModelerParametersDialog(algorithm(name), self.model)

    def wrapper(self, key):
        return self.dialog.widget.widget.wrappers[key]

    def widget(self, key):
        (button,) = (b for b in self.wrapper(key).findChildren(QToolButton) if b.text() == "…")
        return button.parentWidget()

    def box(self, key):
        return self.wrapper(key).findChild(QComboBox)

    def value(self, key):
        return self.wrapper(key).value().staticValue()

    def give(self, key, value):
        self.wrapper(key).setWidgetValue(Source.fromStaticValue(value))


def algorithm(name):
    return QgsApplication.processingRegistry().algorithmById(f"landslide:{name}").create()


def box_of(opened, key):
    return opened.box(key) if isinstance(opened, Modeler) else opened.widget(key)


def choose(opened, key, labels):
    """Open the check list, check these labels alone, and press OK; return what it listed."""
    listed = {}

    def answer():
        for dialog in (w for w in QApplication.topLevelWidgets() if w.isVisible() and w.isModal()):
            model = (dialog.findChild(QListView) or dialog.findChild(QTreeView)).model()
            for row in range(model.rowCount()):
                index = model.index(row, 0)
                listed[index.data()] = index.data(CHECKED) == Qt.CheckState.Checked
                state = Qt.CheckState.Checked if index.data() in labels else Qt.CheckState.Unchecked
                model.setData(index, state, CHECKED)
            dialog.accept()

    QTimer.singleShot(0, answer)
    opened.widget(key).findChild(QToolButton).click()
    return listed


@pytest.mark.parametrize("kind", [Toolbox, Batch, Modeler])
def test_a_box_shows_labels_and_gives_words(kind):
    opened = kind("train")
    box = box_of(opened, "LOSS")
    assert [box.itemText(number) for number in range(box.count())] == list(LOSSES.values())
    assert opened.value("LOSS") == "cross_entropy"
    box.setCurrentText(LOSSES["lovasz"])
    assert opened.value("LOSS") == "lovasz"


@pytest.mark.parametrize("kind", [Toolbox, Batch, Modeler])
def test_a_box_takes_words_as_history_and_saved_models_have_them(kind):
    opened = kind("train")
    opened.give("LOSS", "focal_dice")
    assert box_of(opened, "LOSS").currentText() == LOSSES["focal_dice"]
    assert opened.value("LOSS") == "focal_dice"


@pytest.mark.parametrize("kind", [Toolbox, Batch, Modeler])
def test_what_may_be_left_out_still_may(kind):
    opened = kind("train")
    box = box_of(opened, "OPTIMIZER")
    assert (box.itemData(0), box.itemText(1)) == (None, choices.Train.OPTIMIZER.words["adamw"])
    box.setCurrentIndex(0)
    assert opened.value("OPTIMIZER") is None


@pytest.mark.parametrize("kind", [Toolbox, Batch, Modeler])
def test_a_check_list_shows_labels_and_gives_words(kind):
    """QGIS 3.22's own leaves the words that are not chosen blank, and gives their numbers."""
    opened = kind("terrainfactors")
    gc.collect()
    default = choices.TerrainFactors.FACTORS.default
    assert opened.value("FACTORS") == list(default)
    listed = choose(opened, "FACTORS", [FACTORS["slope"], FACTORS["twi"]])
    assert listed == {label: word in default for word, label in FACTORS.items()}
    assert opened.value("FACTORS") == ["slope", "twi"]


@pytest.mark.parametrize("kind", [Toolbox, Batch, Modeler])
def test_a_line_tells_the_labels_chosen(kind):
    opened = kind("terrainfactors")
    opened.give("FACTORS", ["twi", "elevation"])
    gc.collect()
    line = opened.widget("FACTORS").findChild(QLineEdit)
    assert line.text() == f"{FACTORS['twi']}, {FACTORS['elevation']}"
    assert opened.value("FACTORS") == ["twi", "elevation"]  # bands come in this order


def test_a_step_of_a_model_still_takes_inputs_and_expressions():
    opened = Modeler("terrainfactors")
    for key in ("FACTORS", "FILL"):
        for source in (Source.fromModelParameter("word"), Source.fromExpression("'slope'")):
            opened.wrapper(key).setWidgetValue(source)
            (given,) = opened.dialog.createAlgorithm().parameterSources()[key]
            assert given == source


def test_a_step_of_a_model_is_opened_again_with_its_labels():
    opened = Modeler("train")
    step = opened.dialog.createAlgorithm()
    step.addParameterSources("LOSS", [Source.fromStaticValue("dice")])
    assert isinstance(step, QgsProcessingModelChildAlgorithm)
    opened.model.addChildAlgorithm(step)
    opened.dialog = ModelerParametersDialog(algorithm("train"), opened.model, step.childId())
    opened.dialog.setPreviousValues()
    assert opened.box("LOSS").currentText() == LOSSES["dice"]


def test_labels_of_one_choice_differ():
    """A check list knows its words by their labels."""
    for name in choices.__all__:
        for kind in vars(getattr(choices, name)).values():
            if isinstance(kind, (Choice, Several)):
                assert len(set(kind.words.values())) == len(kind.words), f"{name}.{kind.key}"
