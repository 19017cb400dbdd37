"""Setting up the engine: whole or not counted, twice is once; with tiny packages, offline."""

import json
import os
import sys
from pathlib import Path

import pytest
from landslide_mapper.landslide_plugin.contract.errors import LandslideError
from landslide_mapper.landslide_plugin.engine_lookup import find_engine
from landslide_mapper.landslide_plugin.engine_process import EngineFailure
from landslide_mapper.landslide_plugin.setup import home, network, plan
from landslide_mapper.landslide_plugin.setup.listener import SetupCanceled, SetupError
from landslide_mapper.landslide_plugin.setup.machine import Machine
from landslide_mapper.landslide_plugin.setup.plan import TORCH, Plan
from landslide_mapper.processing_algorithms import setupengine
from landslide_mapper.processing_algorithms.setupengine import SetupEngine, measure
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
)

ROOT = Path(__file__).resolve().parents[2]


def engine_at(folder, **stamp):
    """Make what looks like an engine, of 1000 bytes and a stamp."""
    python = home.python_of(folder)
    python.parent.mkdir(parents=True)
    python.write_bytes(bytes(1000))
    (folder / home.STAMP).write_text(json.dumps({**Plan().wanted(), **stamp}))
    return python


class FakeSetUp:
    """Stands for `set_up`: notes what is asked, and makes what looks like an engine."""

    def __init__(self):
        self.plan = self.environment = self.fetch = None
        self.does = lambda listener: None

    def __call__(self, plan, folder, listener, *, fetch, environment):
        self.plan, self.fetch, self.environment = plan, fetch, environment
        self.does(listener)
        if not folder.exists():
            engine_at(folder, **plan.wanted())
        listener.progress(100)
        return home.python_of(folder)


@pytest.fixture
def made(monkeypatch, no_engine):
    """No engine is there; setting one up is fast, and so is measuring it."""
    fake = FakeSetUp()
    monkeypatch.setattr(setupengine, "set_up", fake)
    monkeypatch.setattr(setupengine, "run_command", measured)
    return fake


def measured(command, parameters, feedback, python):
    assert command == "device"
    feedback.setProgress(50)
    return {
        "device": "CPU, 2 threads",
        "python": "3.12.1",
        "packages": {"torch": "2.13.0", "richdem2": None},
        "megapixels_per_second": 1.5,
    }


@pytest.fixture
def run(provider, feedback):
    """Run the algorithm as Processing does."""

    def run_it(feedback=feedback, **parameters):
        context = QgsProcessingContext()
        alg = SetupEngine().create()
        assert alg.canExecute()[0]
        assert alg.checkParameterValues(parameters, context) == (True, "")
        return alg.run(parameters, context, feedback, {}, False)[0]

    return run_it


class TestAlgorithm:
    def test_makes_the_managed_engine_and_reports_it(self, run, made, feedback):
        python = home.python_of(home.home() / Plan().digest())
        assert run() == {
            "ENGINE": str(python),
            "PACKAGES": "torch 2.13.0, richdem2 missing",
            "DEVICE": "CPU, 2 threads",
            "MEGAPIXELS_PER_SECOND": 1.5,
            "FOLDER": str(home.home() / Plan().digest()),
            "SIZE": home.size_of(home.home() / Plan().digest()),
        }
        assert find_engine() == python
        assert feedback.percents == [95, 97.5]

    def test_goes_by_qgis_network_settings(self, run, made, monkeypatch):
        way = {"HTTPS_PROXY": "http://anna@proxy.example:3128"}
        monkeypatch.setattr(network, "proxy_environment", lambda url: way)
        run()
        assert made.environment == way
        assert made.fetch == network.fetch

    def test_passwords_are_kept_from_the_log_and_from_errors(
        self, run, made, feedback, monkeypatch
    ):
        address = "http://anna:secret@proxy.example:3128"  # pragma: allowlist secret
        monkeypatch.setattr(network, "proxy_environment", lambda url: {"HTTPS_PROXY": address})

        def fails(listener):
            for tell in (listener.message, listener.warning, listener.log):
                tell(f"by {address}")
            raise SetupError(f"The proxy {address} refuses.")

        made.does = fails
        with pytest.raises(QgsProcessingException) as caught:
            run()
        told = [*feedback.infos, *feedback.warnings, *feedback.log, str(caught.value)]
        assert sum("anna:***@proxy.example" in text for text in told) == 4
        assert not any("secret" in text for text in told)

    def test_cancel_ends_it_without_results(self, run, made, recorder):
        feedback = recorder(cancel_at="half way")

        def does(listener):
            assert not listener.canceled()
            listener.message("half way")
            assert listener.canceled()
            raise SetupCanceled

        made.does = does
        assert run(feedback) == {}

    def test_an_engine_that_cannot_run_is_told_and_does_not_count(self, run, made, monkeypatch):
        def broken(*words, **more):
            raise EngineFailure("The engine ended without an answer.", "its last words")

        monkeypatch.setattr(setupengine, "run_command", broken)
        with pytest.raises(QgsProcessingException, match="without an answer"):
            run()
        with pytest.raises(LandslideError, match="not set up"):
            find_engine()

    def test_a_named_python_that_is_not_there_is_told(self, run, monkeypatch):
        monkeypatch.setenv("LANDSLIDE_PYTHON", "/nowhere/python")
        with pytest.raises(QgsProcessingException, match="/nowhere/python"):
            run()

    def test_the_true_engine_reports_itself(self, engine, feedback):
        result = measure(engine, feedback)
        assert "torch 2.13.0" in result["PACKAGES"]
        assert result["MEGAPIXELS_PER_SECOND"] > 0
        assert result["ENGINE"] == str(engine)


class TestChoices:
    @pytest.mark.parametrize(
        ("given", "torch"),
        [
            ({}, "cpu"),
            ({"TORCH": 0}, "cpu"),
            ({"TORCH": "cpu"}, "cpu"),
            ({"TORCH": "pypi"}, "pypi"),
            ({"TORCH": str(TORCH.index("cu130"))}, "cu130"),
            ({"TORCH": "auto"}, "cu130"),
            ({"CUDA": True}, "cu130"),
            ({"CUDA": True, "TORCH": "pypi"}, "pypi"),
            ({"CUDA": False}, "cpu"),
        ],
    )
    def test_torch_is_a_word_or_its_number_and_the_old_boolean_means_the_gpu(
        self, run, made, monkeypatch, given, torch
    ):
        monkeypatch.setattr(plan, "torch_for_gpu", lambda machine: "cu130")
        run(**given)
        assert made.plan.torch == torch

    def test_a_word_that_is_none_is_told(self, provider):
        alg = SetupEngine().create()
        fine, why = alg.checkParameterValues({"TORCH": "rocm"}, QgsProcessingContext())
        assert not fine
        assert "rocm is none of cpu, auto" in why

    @pytest.mark.parametrize(
        ("machine", "auto", "cu130"),
        [
            (Machine("Linux"), "up to 3.9 GB, disk 7.0 GB", "download 3.9 GB, disk 7.0 GB"),
            (Machine("Darwin", "aarch64"), "up to 0.7 GB, disk 2.1 GB", "not for this system"),
        ],
    )
    def test_each_says_what_it_weighs_on_this_system(self, monkeypatch, machine, auto, cu130):
        gpu = {"download": 3_900_000_000, "disk": 7_000_000_000}
        cpu = {"download": 650_000_000, "disk": 2_140_000_000}
        monkeypatch.setattr(Plan, "sizes", lambda self: gpu if self.torch == "cu130" else cpu)
        monkeypatch.setattr(setupengine, "this_machine", lambda: machine)
        monkeypatch.setattr(setupengine, "Plan", lambda word: Plan(word, machine=machine))
        labels = dict(zip(TORCH, setupengine.offered(), strict=True))
        assert labels["cpu"] == "CPU: download 0.7 GB, disk 2.1 GB"
        assert labels["auto"] == f"GPU by its driver: download {auto}"
        assert labels["cu130"] == f"CUDA 13.0: {cu130}"
        assert labels["cu126"] == "CUDA 12.6: not for this system"
        told = SetupEngine().create().shortHelpString()
        for part in ("cpu: download 0.7 GB, disk 2.1 GB;", f"cu130: {cu130};", str(home.home())):
            assert part in told

    def test_sizes_that_are_not_known_are_not_made_up(self, monkeypatch):
        monkeypatch.setattr(Plan, "sizes", lambda self: {"download": 0, "disk": 0})
        assert setupengine.offered()[0] == "CPU"

    def test_wheelhouse_and_python_reach_the_plan(self, run, made, tmp_path):
        run(WHEELHOUSE=str(tmp_path), PYTHON=sys.executable)
        assert (made.plan.wheelhouse, made.plan.python) == (tmp_path, sys.executable)

    def test_a_wheelhouse_that_is_not_there_is_told(self, provider):
        given = {"WHEELHOUSE": "/nowhere/wheels"}
        fine, why = SetupEngine().create().checkParameterValues(given, QgsProcessingContext())
        assert not fine
        assert "/nowhere/wheels does not exist" in why

    def test_all_but_torch_are_advanced_or_hidden_and_none_is_asked_for(self, provider):
        flags = QgsProcessingParameterDefinition.Flag
        shown = []
        algorithm = SetupEngine().create()
        for parameter in algorithm.parameterDefinitions():
            assert parameter.flags() & flags.FlagOptional
            if not parameter.flags() & (flags.FlagAdvanced | flags.FlagHidden):
                shown.append(parameter.name())
        assert shown == ["TORCH"]


class TestOtherEngines:
    def test_the_choice_made_last_is_the_one_that_is_used(self, run, made):
        first = Path(run(TORCH="cpu")["ENGINE"])
        second = Path(run(TORCH="pypi")["ENGINE"])
        for hour, python in enumerate((first, second)):
            os.utime(python.parents[1] / home.STAMP, (3600 * hour, 3600 * hour))
        assert find_engine() == second
        assert Path(run(TORCH="cpu")["ENGINE"]) == first  # which stands: nothing is installed
        assert find_engine() == first

    @pytest.fixture
    def others(self, made, tmp_path, monkeypatch):
        """An engine of an earlier version's packages and one in the profile."""
        engine_at(home.home() / "0a0a0a0a", engine="of other packages")
        profile = tmp_path / "profile" / "engine-0.1.0"
        engine_at(profile)
        monkeypatch.setattr(setupengine, "earlier_folders", lambda: [profile])
        return [home.home() / "0a0a0a0a", profile]

    def test_are_listed_with_their_sizes_and_stay(self, run, others, feedback):
        run()
        for other in others:
            assert any(f"{other} (0.0 GB; see" in text for text in feedback.infos)
            assert other.is_dir()

    def test_are_removed_on_wish_but_the_new_one_stays(self, run, others, feedback):
        (home.home() / "cache").mkdir()
        results = run(REMOVE_OLD=True)
        assert not any(other.exists() for other in others)
        assert not (home.home() / "cache").exists()
        assert find_engine() == Path(results["ENGINE"])
        assert sum(text.startswith("Removed the engine") for text in feedback.infos) == 2

    def test_one_that_cannot_be_removed_is_a_warning(self, run, others, feedback, monkeypatch):
        def used(folder):
            raise SetupError(f"{folder} can't be removed (in use): close the programs.")

        monkeypatch.setattr(home, "remove", used)
        assert run(REMOVE_OLD=True)["DEVICE"] == "CPU, 2 threads"
        assert len(feedback.warnings) == 2

    def test_stay_where_the_set_up_fails(self, run, others, made):
        def fails(listener):
            raise SetupError("The disk is full.")

        made.does = fails
        with pytest.raises(QgsProcessingException, match=r"^The disk is full\.$"):
            run(REMOVE_OLD=True)
        assert all(other.is_dir() for other in others)
