"""The algorithm `landslide:recipe`."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputFile,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

from ..landslide_plugin.contract import choices
from .algorithm import EngineAlgorithm
from .parameters import Declaration, asked, later


class RunRecipe(EngineAlgorithm):
    """Declares the run of a recipe."""

    ID = "recipe"
    NAME = "Run a recipe"
    GROUP = "Samples and training"
    TAGS = ("json", "reproducible", "pipeline", "batch", "workflow", "retrain")
    HELP = """
        Runs the commands of a JSON file one after another, such as those that make a model from
        images and labels.

        When: to make a model again, elsewhere or with other data, exactly as it was made; to run a
        long chain that may be broken off. For work on layers of a project use a graphical model.

        Method: a recipe is an object with "steps", each with a "command", an algorithm's name, and
        its "parameters", under the names of the algorithm's in lower case; "{data}" and "{work}" at
        the beginning of a path stand for the two folders, "{recipe}" for the one that the file lies
        in, and "result" names what comes out. "values" may give names and defaults of what differs
        from one run to the next, such as {"fold": "0"}, for which "{fold}" then stands. Steps
        that are done are passed over as long as they, and all before them, are unchanged; whether
        their data have changed is not looked at: choose another folder of the work then. A
        training that was broken off goes on.

        Source: made for this plugin.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterFile("RECIPE", "Recipe", fileFilter="Recipes (*.json)"),
            "The JSON file with the steps.",
        )
        yield (
            QgsProcessingParameterFile(
                "DATA",
                "Folder of the data",
                QgsProcessingParameterFile.Behavior.Folder,
                optional=True,
            ),
            "What the recipe reads lies in it; not needed for a recipe that reads nothing.",
        )
        yield (
            later(asked(choices.Recipe.VALUES)),
            "What the recipe's values are in this run, such as fold=1, separated by commas; those "
            "that are not named are its defaults. Each set of values wants a folder of its own.",
        )
        yield (
            QgsProcessingParameterFolderDestination("FOLDER", "Folder of the work"),
            "What its steps make lies in it afterwards, the result too. Run it again into the same "
            "folder to go on.",
        )

    def initAlgorithm(self, configuration: dict[str, object] | None = None) -> None:
        """Add the result as an output, so that a model can go on with it."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputFile("RESULT", "Result"))

    def numbers(self) -> dict[str, str]:
        """Return the numbers that a run ends with."""
        return {"STEPS": "Number of steps that ran"}
