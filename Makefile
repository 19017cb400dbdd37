# Both commands set up what they need; see README.md.
ENGINE = .venv/bin/python
PYTHON ?= /usr/bin/python3
DATA ?= $(or $(LANDSLIDE_DATA),../shared/data)
FAULTS ?= 1000
PACKAGE = build/plugins/landslide_mapper
SETUP = cd build/plugins && $(PYTHON) -m landslide_mapper.landslide_plugin.setup ../../.venv
UV = UV_SYSTEM_CERTS=1 $(if $(PIP_INDEX_URL),UV_DEFAULT_INDEX=$(PIP_INDEX_URL)) .venv/bin/uv --quiet
QGIS_SIDE = -m landslide_mapper.landslide_plugin.plugin $(addprefix -p landslide_mapper.,\
	processing_algorithms landslide_plugin.contract landslide_plugin.outputs landslide_plugin.setup)
SHIPPED = $(addprefix -p landslide_mapper.,landslide_plugin models processing_algorithms)
types = cd build/plugins && ../../$(ENGINE) -m mypy --config-file ../../pyproject.toml \
	--platform $(1) --cache-dir .mypy_cache/$(1)

.PHONY: demo real test faults zip setup setup-tests lint test-engine test-qgis test-qgis-all

demo: setup
	rm -rf build/demo
	$(ENGINE) scripts/demo.py build/demo

real: setup
	rm -rf build/real
	$(ENGINE) scripts/real.py $(DATA) build/real

test: setup-tests lint test-engine test-qgis

faults: setup-tests
	$(ENGINE) -m tests.faults $(FAULTS)
	LANDSLIDE_BAD_REQUESTS=2000 $(ENGINE) -m pytest -s tests/faults/test_bad_requests.py

zip: setup-tests
	$(ENGINE) -m scripts.zip

setup: $(PACKAGE)
	bash scripts/system.sh
	$(SETUP)

setup-tests: $(PACKAGE)
	bash scripts/system.sh
	$(SETUP) --dev
	$(MAKE) .venv-qgis/pyvenv.cfg

# QGIS's own Python with pytest and nothing of the engine, so that the QGIS side is tested where
# torch and rasterio can't be imported.
.venv-qgis/pyvenv.cfg: requirements/qgis-tests.lock
	$(UV) venv --clear --no-project --system-site-packages --python /usr/bin/python3 .venv-qgis
	$(UV) pip install --python .venv-qgis/bin/python --require-hashes -r $<
	touch $@

lint:
	$(ENGINE) -m ruff check .
	$(ENGINE) -m ruff format --check .
	$(call types,linux) -p landslide_mapper
	$(call types,linux) --python-version 3.10 $(QGIS_SIDE)  # the oldest that mypy knows
	$(call types,win32) $(SHIPPED)
	$(call types,darwin) $(SHIPPED)
	$(ENGINE) -m bandit -q -r . -c pyproject.toml
	git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook

test-engine:
	$(ENGINE) -m pytest --numprocesses 2 --dist loadfile tests/engine tests/faults

test-qgis:
	QT_QPA_PLATFORM=offscreen .venv-qgis/bin/python -m pytest tests/qgis

test-qgis-all:
	bash scripts/qgis_versions.sh

$(PACKAGE):
	mkdir -p build/plugins
	ln -sfn ../.. $(PACKAGE)
