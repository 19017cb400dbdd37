#!/usr/bin/env bash
# Installs the Debian packages that the plugin and its tests need; does nothing when all are there.
set -euo pipefail

packages=(
    qgis             # qgis_process; 3.22 in Debian 12 is the oldest that is supported
    python3-qgis     # what the plugin imports
    qgis-providers   # virtual layers, meshes and web layers, which tests hand in
    gdal-bin         # gdaldem, gdalwarp and others, which tests compare with
    python3-gdal     # osgeo, which QGIS's side reads rasters' facts with
    ca-certificates  # the set-up downloads over TLS
)

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian: install QGIS 3.22 or newer and GDAL yourself."
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Run as root: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
