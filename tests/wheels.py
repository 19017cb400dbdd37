"""Packages of one module, for tests that install something and have no network."""

import zipfile


def write_wheel(folder, name, version="1.0", code="", file=None):
    """Write a package of one module; return its file."""
    info = f"{name}-{version}.dist-info"
    wheel = folder / (file or f"{name}-{version}-py3-none-any.whl")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel
