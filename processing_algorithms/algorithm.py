"""The base of all algorithms: declares parameters, runs one engine command, hands results on."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from html import escape
from typing import Any

import qgis.utils
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
)
from qgis.PyQt.QtGui import QIcon

from ..landslide_plugin.contract.errors import LandslideError
from ..landslide_plugin.core.system import one_name
from ..landslide_plugin.engine_lookup import ROOT, find_engine
from ..landslide_plugin.engine_process import EngineCanceled, EngineFailure, run_command
from .layers import files_behind
from .pages import help_page
from .request import (
    destination,
    input_value,
    is_destination,
    is_list,
    listed,
    plain,
    problem_of,
    unknown_keys,
)
from .styles import StylePostProcessor, kept


class EngineAlgorithm(QgsProcessingAlgorithm):
    """One algorithm of the provider; a subclass declares, this class does the rest.

    The command of the engine has the algorithm's id as its name and the parameters' keys, in
    lower case, as its arguments. What is optional and not given is left out of the request.

    Attributes:
        ID: the algorithm's id, which is the command's name.
        NAME: what the Toolbox shows.
        GROUP: the Toolbox group; one without stands above the groups.
        TAGS: words that the Toolbox's search finds beside the name.
        HELP: what it does, when to use it, method and source; blank lines part paragraphs.
        STYLES: output key to the name of a style, for layers that get loaded.
    """

    ID = ""
    NAME = ""
    GROUP = ""
    TAGS: tuple[str, ...] = ()
    HELP = ""
    STYLES: dict[str, str] = {}

    def declare(self) -> Iterator[tuple[QgsProcessingParameterDefinition, str]]:
        """Yield each parameter with its help; subclasses override this."""
        return iter(())

    def numbers(self) -> dict[str, str]:
        """Return the keys of number outputs with their descriptions."""
        return {}

    def createInstance(self) -> EngineAlgorithm:
        """Return another of its kind, as Processing asks for each run."""
        return type(self)()

    def name(self) -> str:
        """Return the id."""
        return self.ID

    def displayName(self) -> str:
        """Return what the Toolbox shows."""
        return self.NAME

    def group(self) -> str:
        """Return the Toolbox group."""
        return self.GROUP

    def groupId(self) -> str:
        """Return the group's id."""
        return "".join(letter for letter in self.GROUP.lower() if letter.isalnum())

    def tags(self) -> list[str]:
        """Return the search words."""
        return ["landslide", *self.TAGS]

    def icon(self) -> QIcon:
        """Return the provider's icon."""
        return QIcon(str(ROOT / "icon.svg"))

    def shortHelpString(self) -> str:
        """Return the help, then one line a parameter; Processing makes each line a paragraph."""
        paragraphs = self._paragraphs()
        lines = [
            f"{parameter.name()} ({parameter.description()}): {' '.join(text.split())}"
            for parameter, text in self.declare()
        ]
        return "\n".join([*paragraphs, "Parameters", *lines] if lines else paragraphs)

    def helpUrl(self) -> str:
        """Return the address of the page that the Help button opens."""
        return help_page(self, self._paragraphs())

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add what the subclass declares."""
        for parameter, text in self.declare():
            help_text = " ".join(text.split())
            if isinstance(parameter, QgsProcessingParameterEnum):
                help_text += _for_scripts(parameter)
            parameter.setHelp(help_text)
            self.addParameter(parameter)
        for key, description in self.numbers().items():
            self.addOutput(QgsProcessingOutputNumber(key, description))

    def canExecute(self) -> tuple[bool, str]:
        """Return whether an engine is there, and if not what to do."""
        try:
            find_engine()
        except LandslideError as error:
            return False, _with_link(str(error))
        return True, ""

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Name the input that is missing, unreadable or no list before anything runs."""
        parameters = plain(parameters, self.parameterDefinitions(), context)
        for definition in self.parameterDefinitions():
            problem = problem_of(definition, parameters.get(definition.name()), context)
            if problem:
                return False, problem
            if is_list(definition):
                try:
                    text = self.parameterAsString(parameters, definition.name(), context)
                    listed(text, definition)
                except QgsProcessingException as error:
                    return False, str(error)
        answer: tuple[bool, str] = super().checkParameterValues(parameters, context)
        return answer

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Turn the inputs into what the engine reads, in the thread that the layers live in."""
        lost = unknown_keys(parameters, [each.name() for each in self.parameterDefinitions()])
        if lost:
            feedback.pushWarning(lost)
        parameters = plain(parameters, self.parameterDefinitions(), context)
        self._request: dict[str, Any] = {}
        self._read: set[str] = set()
        for definition in self.parameterDefinitions():
            if not is_destination(definition):
                self._read |= files_behind(definition, parameters.get(definition.name()), context)
                value = input_value(self, definition, parameters, context, feedback)
                if is_list(definition):
                    value = listed(value, definition)
                if value not in (None, "", []):
                    self._request[definition.name().lower()] = value
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Run the command and return the declared outputs."""
        parameters = plain(parameters, self.parameterDefinitions(), context)
        request = dict(self._request)
        for definition in self.destinationParameterDefinitions():
            path = destination(self, definition, parameters, context)
            # The engine knows no more than the copies of layers that were exported.
            if path and one_name(os.path.realpath(path)) in self._read:
                raise QgsProcessingException(
                    f"{definition.description()}: {path} is read in this run: choose another file."
                )
            if path:
                request[definition.name().lower()] = path
                self._style(definition.name(), path, context)
        try:
            values = run_command(self.ID, request, feedback)
        except EngineCanceled:
            return {}
        except EngineFailure as error:
            feedback.pushDebugInfo(error.details)
            raise QgsProcessingException(str(error)) from None
        except LandslideError as error:
            raise QgsProcessingException(str(error)) from None
        outputs = {definition.name() for definition in self.outputDefinitions()}
        return {key.upper(): value for key, value in values.items() if key.upper() in outputs}

    def _paragraphs(self) -> list[str]:
        return [" ".join(part.split()) for part in inspect.cleandoc(self.HELP).split("\n\n")]

    def _style(self, key: str, path: str, context: QgsProcessingContext) -> None:
        """Have the layer styled when it is loaded after the run."""
        if key in self.STYLES and context.willLoadLayerOnCompletion(path):
            details = context.layerToLoadOnCompletionDetails(path)
            details.setPostProcessor(kept(StylePostProcessor(self.STYLES[key])))


def _for_scripts(parameter: QgsProcessingParameterEnum) -> str:
    """Return what scripts give for a choice; qgis_process asks for numbers, dialogs for labels."""
    labels = parameter.metadata().get("widget_wrapper", {}).get("labels", {})
    words = "; ".join(f"{word} = {labels[word]}" for word in parameter.options() if word in labels)
    return f" Scripts give the word itself, not its number{': ' if words else ''}{words}."


def _with_link(sentence: str) -> str:
    """Add the link to the set-up that QGIS's window shows; qgis_process has no window."""
    if qgis.utils.iface is None:
        return sentence
    link = '<p><a href="landslide:setupengine">Set up the engine now</a></p>'
    return escape(sentence, quote=False) + link
