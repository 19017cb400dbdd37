#!/usr/bin/env bash
# Makes .venv-qgis: QGIS's own Python with pytest and nothing of the engine, so that the QGIS side
# is tested where torch and rasterio can't be imported. Does nothing when it stands.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=requirements/qgis-tests.txt
stamp=.venv-qgis/installed.txt
cmp --silent "$requirements" "$stamp" && exit 0

rm -rf .venv-qgis
/usr/bin/python3 -m venv --system-site-packages .venv-qgis
.venv-qgis/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r "$requirements"
cp "$requirements" "$stamp"
