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
    QgsProcessingParameterFile,
)

from ..landslide_plugin import engine_setup
from ..landslide_plugin.engine_lookup import managed_folder, named_engine, own_python
from ..landslide_plugin.engine_process import (
    EngineCanceled,
    EngineFailure,
    run_command,
    run_program,
)
from ..landslide_plugin.errors import LandslideError
from .algorithm import EngineAlgorithm
from .parameters import Declaration


class SetupEngine(EngineAlgorithm):
    """Makes the managed environment in the QGIS profile and measures it."""

    ID = "setupengine"
    NAME = "Set up the engine"
    TAGS = ("install", "environment", "python", "torch", "cuda", "gpu", "packages", "engine")
    HELP = """
        Makes the Python environment that all other algorithms run in, and measures its speed.

        When: once after installing or updating the plugin, or to see which packages and which
        device the engine uses. Run again it only completes what is missing.

        Method: a virtual environment in the QGIS profile, apart from QGIS's own Python, which
        stays as it is; pip installs the pinned packages (about 2 GB, internet needed), streams
        need a C++ compiler on top. An engine that is named in the Processing settings or by the
        variable LANDSLIDE_PYTHON goes first: then nothing is installed and that one is measured.
        The speed is that of an FC-DenseNet forward pass.

        Source: venv and pip of the Python Packaging Authority.
    """

    def declare(self) -> Declaration:
        """Yield each parameter and its help."""
        yield (
            QgsProcessingParameterFile("PYTHON", "Python to make it from", optional=True),
            "A Python 3.11 or 3.12 with venv; empty looks for one on this machine.",
        )
        yield (
            QgsProcessingParameterBoolean("CUDA", "For a CUDA GPU", defaultValue=False),
            "Takes the newest torch that pip offers for a GPU, in place of the pinned one.",
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add the parameters and what is reported."""
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputString("ENGINE", "The engine's Python"))
        self.addOutput(QgsProcessingOutputString("PACKAGES", "Packages"))
        self.addOutput(QgsProcessingOutputString("DEVICE", "Device"))
        self.addOutput(QgsProcessingOutputNumber("MEGAPIXELS_PER_SECOND", "Megapixels per second"))

    def canExecute(self) -> tuple[bool, str]:
        """Return True: this one needs no engine."""
        return True, ""

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Install where no engine was named, then measure."""
        steps = QgsProcessingMultiStepFeedback(2, feedback)
        try:
            python = named_engine()
            if python is not None:
                feedback.pushInfo(f"The engine {python} was named: nothing is installed.")
                return measure(python, feedback)
            python = install(
                managed_folder(),
                steps,
                python=self._request.get("python", ""),
                gpu=self._request.get("cuda", False),
            )
            steps.setCurrentStep(1)
            return measure_new(python, steps)
        except EngineCanceled:
            return {}
        except EngineFailure as error:
            feedback.pushDebugInfo(error.details)
            raise QgsProcessingException(str(error)) from None
        except LandslideError as error:
            raise QgsProcessingException(str(error)) from None


def install(
    folder: Path,
    feedback: QgsProcessingFeedback,
    *,
    python: str = "",
    gpu: bool = False,
    requirements: Path = engine_setup.REQUIREMENTS,
) -> Path:
    """Make or complete an environment in a process of its own; return its Python.

    Raises:
        LandslideError: it can't be made; the sentence says why.
        EngineCanceled: the user canceled; what is there does not count as an engine.
    """
    try:
        base = engine_setup.suitable_python(
            [python] if python else [str(own_python()), *engine_setup.base_pythons()]
        )
    except engine_setup.SetupError as error:
        raise LandslideError(str(error)) from None
    words = [str(base), engine_setup.__file__, str(folder), "--python", str(base), "--json"]
    words += ["--requirements", str(requirements), *(["--gpu"] if gpu else [])]
    return Path(run_program(words, feedback)["python"])


def measure_new(python: Path, feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Measure the managed engine; one that fails at it does not count as an engine."""
    try:
        return measure(python, feedback)
    except (EngineFailure, LandslideError):
        (managed_folder() / engine_setup.STAMP).unlink(missing_ok=True)
        raise


def measure(python: Path, feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Run the engine once; report its packages, device and speed."""
    feedback.pushInfo(f"Measuring the engine {python}.")
    found = run_command("device", {}, feedback, python=python)
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    speed = float(found["megapixels_per_second"])
    feedback.pushInfo(f"Python {found['python']}; {packages}")
    feedback.pushInfo(f"Device: {found['device']}; FC-DenseNet: {speed:.3g} megapixels per second")
    return {
        "ENGINE": str(python),
        "PACKAGES": packages,
        "DEVICE": str(found["device"]),
        "MEGAPIXELS_PER_SECOND": speed,
    }
