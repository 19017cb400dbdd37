"""The algorithm `landslide:setupengine`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
)

from ..landslide_plugin.contract import choices
from ..landslide_plugin.contract.errors import LandslideError
from ..landslide_plugin.engine_lookup import earlier_folders, named_engine
from ..landslide_plugin.engine_process import EngineCanceled, EngineFailure, run_command
from ..landslide_plugin.setup import home, network
from ..landslide_plugin.setup.install import set_up
from ..landslide_plugin.setup.listener import SetupCanceled, SetupError
from ..landslide_plugin.setup.machine import this_machine
from ..landslide_plugin.setup.plan import TORCH, Plan
from .algorithm import EngineAlgorithm
from .parameters import Declaration, advanced, later

_PARTS = 20
"""The progress has so many parts, of which the measuring is the last."""


class SetupEngine(EngineAlgorithm):
    """Makes the managed environment and measures it."""

    ID = "setupengine"
    NAME = "Set up the engine"
    TAGS = ("install", "environment", "python", "torch", "cuda", "gpu", "packages", "engine")
    HELP = """
        Makes the Python environment that all other algorithms run in, and measures its speed.

        When: once after installing the plugin, after an update of it that says so, or to see which
        packages and which device the engine uses. Run again it completes what is missing, and goes
        on where it was interrupted.

        Method: uv, the installer of Python packages, brings a Python where the system's does not
        fit and installs locked versions, each checked by its digest; no compiler is needed, and
        QGIS's own Python stays as it is. Internet is needed, by the proxy, certificates and
        authentication of QGIS's settings, or a wheelhouse. What it downloads and takes on disk
        stands beside each choice of PyTorch below. The engine lies outside the profile, in a folder
        that all profiles and later versions share (LANDSLIDE_HOME names another one). An engine
        that is named in the Processing settings or by the variable LANDSLIDE_PYTHON goes first:
        then nothing is installed and that one is measured. The speed is that of an FC-DenseNet
        forward pass. docs/install.md tells of each system.

        Source: uv by Astral; packages of the Python Package Index and PyTorch's index.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        weights = "; ".join(f"{word}{_sizes(word)}" for word in TORCH)
        yield (
            later(
                QgsProcessingParameterEnum(
                    "TORCH", choices.SetupEngine.TORCH.label, offered(), defaultValue=0
                )
            ),
            f"""CPU serves everywhere; the builds for a GPU are much larger, and of use with a GPU
            of NVIDIA's alone. On Macs with Apple silicon each choice uses their GPU. The words, and
            what each weighs on this system: {weights}. All goes into {home.home()}.""",
        )
        yield (
            advanced(
                QgsProcessingParameterFile(
                    "PYTHON",
                    "Python to make it from",
                    optional=True,
                    fileFilter="Programs (*)",  # QGIS's own filter wants a dot in the name
                )
            ),
            "A Python 3.11 to 3.14; empty takes the system's where it fits, else uv brings one.",
        )
        yield (
            advanced(
                QgsProcessingParameterFile(
                    "WHEELHOUSE",
                    "Folder of wheels, to install offline",
                    QgsProcessingParameterFile.Behavior.Folder,
                    optional=True,
                )
            ),
            "Holds the wheels of all locked packages, and uv's: then nothing is downloaded.",
        )
        yield (
            advanced(later(QgsProcessingParameterBoolean("REMOVE_OLD", "Remove other engines"))),
            "Removes the engines of earlier versions and of other choices of PyTorch, which the "
            "log lists with their sizes, and the kept downloads.",
        )
        cuda = QgsProcessingParameterBoolean("CUDA", "For a CUDA GPU (use TORCH)", False)
        cuda.setFlags(cuda.flags() | QgsProcessingParameterDefinition.Flag.FlagHidden)
        yield later(cuda), "Of earlier versions: true is TORCH=auto."

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add the parameters and what is reported."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputString("ENGINE", "The engine's Python"))
        self.addOutput(QgsProcessingOutputString("PACKAGES", "Packages"))
        self.addOutput(QgsProcessingOutputString("DEVICE", "Device"))
        self.addOutput(QgsProcessingOutputNumber("MEGAPIXELS_PER_SECOND", "Megapixels per second"))
        self.addOutput(QgsProcessingOutputString("FOLDER", "The engine's folder"))
        self.addOutput(QgsProcessingOutputNumber("SIZE", "Bytes on disk"))

    def canExecute(self) -> tuple[bool, str]:
        """Return True: this one needs no engine."""
        return True, ""

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Take the words of TORCH as well as their numbers."""
        word = parameters.get("TORCH")
        if isinstance(word, str) and not word.isdecimal() and word not in TORCH:
            return False, f"PyTorch for: {word} is none of {', '.join(TORCH)}."
        return super().checkParameterValues(_numbered(parameters), context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Read what was chosen."""
        return super().prepareAlgorithm(_numbered(parameters), context, feedback)

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Install where no engine was named, then measure."""
        try:
            python = named_engine()
            if python is not None:
                feedback.pushInfo(f"The engine {python} was named: nothing is installed.")
                return measure(python, feedback)
            python = install(self._plan(), feedback)
            folder = python.parent.parent
            _tell_others(folder, feedback, self._request.get("remove_old", False))
            last = QgsProcessingMultiStepFeedback(_PARTS, feedback)
            last.setCurrentStep(_PARTS - 1)
            results = _measure_new(python, last)
            return {**results, "FOLDER": str(folder), "SIZE": home.size_of(folder)}
        except (EngineCanceled, SetupCanceled):
            return {}
        except EngineFailure as error:
            feedback.pushDebugInfo(error.details)
            raise QgsProcessingException(str(error)) from None
        except LandslideError as error:
            raise QgsProcessingException(str(error)) from None

    def _plan(self) -> Plan:
        torch = TORCH[self._request.get("torch", 0)]
        if torch == TORCH[0] and self._request.get("cuda", False):
            torch = "auto"
        wheelhouse = self._request.get("wheelhouse")
        return Plan(
            torch,
            python=self._request.get("python", ""),
            wheelhouse=Path(wheelhouse) if wheelhouse else None,
        ).settled()


class FeedbackListener:
    """Passes what set-up tells on to a Processing dialog, without passwords.

    Args:
        feedback: of the run.
        environment: what uv gets, whose passwords are kept from the log.
    """

    def __init__(self, feedback: QgsProcessingFeedback, environment: dict[str, str]) -> None:
        self._feedback = feedback
        self._environment = environment

    def progress(self, percent: float) -> None:
        """Move the bar."""
        self._feedback.setProgress(percent * (_PARTS - 1) / _PARTS)

    def message(self, text: str) -> None:
        """Show a sentence."""
        self._feedback.pushInfo(network.without_passwords(text, self._environment))

    def warning(self, text: str) -> None:
        """Show a sentence as a warning."""
        self._feedback.pushWarning(network.without_passwords(text, self._environment))

    def log(self, line: str) -> None:
        """Show a line in the log."""
        self._feedback.pushDebugInfo(network.without_passwords(line, self._environment))

    def canceled(self) -> bool:
        """Return whether the user canceled."""
        return bool(self._feedback.isCanceled())


def install(plan: Plan, feedback: QgsProcessingFeedback) -> Path:
    """Make or complete the managed engine by QGIS's network settings; return its Python.

    Raises:
        SetupError: it can't be made; the sentence says why.
        SetupCanceled: the user canceled.
    """
    environment = network.proxy_environment(_address(plan))
    listener = FeedbackListener(feedback, environment)
    folder = home.home() / plan.digest()
    try:
        python = set_up(plan, folder, listener, fetch=network.fetch, environment=environment)
    except SetupError as error:
        raise SetupError(network.without_passwords(str(error), environment)) from None
    (folder / home.STAMP).touch()  # the newest is taken, and this is what was chosen last
    return python


def measure(python: Path, feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Run the engine once; report its packages, device and speed."""
    feedback.pushInfo(f"Measuring the engine {python}.")
    measured = run_command("device", {}, feedback, python=python)
    versions = measured["packages"].items()
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in versions)
    speed = float(measured["megapixels_per_second"])
    feedback.pushInfo(f"Python {measured['python']}; {packages}")
    feedback.pushInfo(
        f"Device: {measured['device']}; FC-DenseNet: {speed:.3g} megapixels per second"
    )
    return {
        "ENGINE": str(python),
        "PACKAGES": packages,
        "DEVICE": str(measured["device"]),
        "MEGAPIXELS_PER_SECOND": speed,
    }


def offered() -> list[str]:
    """Return what the dialog offers for TORCH: each with its sizes on this system, as known."""
    return [f"{choices.SetupEngine.TORCH.words[word]}{_sizes(word)}" for word in TORCH]


def _sizes(torch: str) -> str:
    """Return the sizes of a choice; those of the GPU's driver are at most the largest build's."""
    largest = "pypi" if this_machine().system == "Darwin" else "cu130"
    plan = Plan(largest if torch == "auto" else torch)
    try:
        sizes = plan.settled().sizes()
    except SetupError:
        return ": not for this system"
    if not all(sizes.values()):
        return ""
    most = "up to " if torch == "auto" else ""
    download, disk = (f"{sizes[key] / 1e9:.1f} GB" for key in ("download", "disk"))
    return f": download {most}{download}, disk {disk}"


def _address(plan: Plan) -> str:
    """Return an address that the set-up downloads from; the others take the same proxy."""
    return str(next(iter(plan.facts("uv")["wheels"].values()))["url"])


def _numbered(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with TORCH's word as its number, which Processing wants."""
    word = parameters.get("TORCH")
    return {**parameters, "TORCH": TORCH.index(word)} if word in TORCH else parameters


def _measure_new(python: Path, feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Measure the managed engine; one that fails at it does not count as an engine."""
    try:
        return measure(python, feedback)
    except (EngineFailure, LandslideError):
        (python.parent.parent / home.STAMP).unlink(missing_ok=True)
        raise


def _tell_others(folder: Path, feedback: QgsProcessingFeedback, remove: bool) -> None:
    """List the other engines with their sizes, and remove them on wish."""
    engines = [engine.folder for engine in home.engines(home.home())]
    for other in [*engines, *earlier_folders()]:
        if other == folder:
            continue
        size = f"{home.size_of(other) / 1e9:.1f} GB"
        if not remove:
            feedback.pushInfo(f'Another engine: {other} ({size}; see "Remove other engines").')
            continue
        try:
            home.remove(other)
            feedback.pushInfo(f"Removed the engine {other} ({size}).")
        except SetupError as error:
            feedback.pushWarning(str(error))
    if remove:
        home.remove_cache(home.home())
