"""The algorithm `landslide:fetchmodel`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterEnum,
)

from ..landslide_plugin.contract.errors import LandslideError
from ..landslide_plugin.setup.listener import SetupCanceled
from ..landslide_plugin.setup.network import fetch
from ..models.known_models import fetch_model, known_models
from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, text
from .setupengine import FeedbackListener


class FetchModel(EngineAlgorithm):
    """Fetches a model that is not in the plugin's archive into the user's own folder."""

    ID = "fetchmodel"
    NAME = "Fetch a model"
    GROUP = "Mapping"
    TAGS = ("download", "weights", "pretrained", "vhr", "aerial", "offline")
    HELP = """
        Fetches a trained model that does not ship with the plugin, for Map landslides to take.

        When: Map landslides says that a model would fit the image but is not at hand. Only models
        ship whose data's terms are clear; look at the terms that this one reports.

        Method: downloaded once, by QGIS's own network access with its proxy and certificates, into
        the folder models beside the engines, which updates of the plugin leave alone; kept only if
        its SHA-256 is that of the model that was measured (docs/model-cards.md). Where its makers
        name no address, the message says how to make it from your own copy of the data.

        Source: the data's own, named in the log.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        models = known_models()
        names = [name for name in models if models[name].distributed != "zip"] or list(models)
        yield (
            QgsProcessingParameterEnum(
                "NAME", "Model", names, defaultValue=names[0], usesStaticStrings=True
            ),
            "The model to fetch.",
        )
        yield (
            advanced(text("ADDRESS", "Address")),
            "Where else the same file lies, such as on a server of your own; empty for the address "
            "that the plugin's makers name.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add the parameters and the file."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputFile("MODEL", "Model file"))

    def canExecute(self) -> tuple[bool, str]:
        """Return True: this one needs no engine."""
        return True, ""

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Download and check the file."""
        model = known_models()[self._request["name"]]
        model = replace(model, address=self._request.get("address", model.address))
        feedback.pushInfo(f"{model.name} learnt from: {model.source}.")
        try:
            path = fetch_model(model, fetch, FeedbackListener(feedback, {}))
        except SetupCanceled:
            return {}
        except LandslideError as error:
            raise QgsProcessingException(str(error)) from None
        return {"MODEL": str(path)}
