"""What uv writes when it fails, in its own words, and the one true sentence that a user gets."""

import pytest
from landslide_mapper.landslide_plugin.setup.causes import explain

UNSATISFIABLE = "we can conclude that your requirements are unsatisfiable."


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (
            "error: Failed to download `scipy==1.17.1`\n"
            "  cause: Hash mismatch for `scipy==1.17.1`\n\n"
            "Expected:\n  sha256:00\n\nComputed:\n  sha256:11",
            "scipy==1.17.1 is not the file that was checked",
        ),
        (
            "error: Failed to download `big==1.0`\n"
            "  cause: Failed to extract archive: big-1.0-py3-none-any.whl\n"
            "  cause: failed to write to file `/x/big.py`: No space left on device (os error 28)",
            "the disk is full: free some space",
        ),
        (
            "error: Failed to fetch: https://index.invalid/simple/a/\n"
            "  cause: tunnel error: proxy authorization required",
            "the proxy wants a name and a password",
        ),
        (
            "error: Failed to fetch: https://index.invalid/simple/a/\n"
            "  cause: client error (Connect)\n  cause: tunnel error: unsuccessful",
            "the proxy does not let index.invalid through",
        ),
        (
            "error: Failed to fetch: https://index.invalid/simple/a/\n"
            "  cause: invalid peer certificate: UnknownIssuer",
            "the certificate of index.invalid, or of a proxy on the way, is not trusted here",
        ),
        (
            "error: No solution found when resolving dependencies\n  cause: Because other==1.0 has "
            f"no wheels with a matching platform tag and you require other==1.0, {UNSATISFIABLE}",
            "other==1.0 has no wheel for this system and Python",
        ),
        (
            "error: No solution found when resolving dependencies\n  cause: Because none was not "
            f"found in the provided package locations and you require none==1.0, {UNSATISFIABLE}",
            "the wheelhouse lacks none: put its wheel there",
        ),
        (
            "error: No solution found when resolving dependencies\n  cause: Because there is no "
            f"version of none==1.0 and you require none==1.0, {UNSATISFIABLE}",
            "the index lacks none==1.0: check which mirror is set",
        ),
        (
            "error: Failed to download `https://github.com/astral-sh/python-build-standalone/"
            "releases/x.tar.gz`\n  cause: dns error",
            "Python 3.12 can't be downloaded: check the internet connection",
        ),
        (
            "error: Failed to create virtual environment\n"
            "  cause: failed to create directory `/m/v`: Read-only file system (os error 30)",
            "there is no permission to write",
        ),
        (
            "error: Failed to fetch: https://nowhere.invalid/simple/other/\n  cause: dns error\n"
            "  cause: failed to lookup address information: Name or service not known",
            "nowhere.invalid can't be found: check the internet connection",
        ),
        (
            "error: Request failed after 3 retries\n  cause: error sending request for url "
            "(https://name:word@"  # pragma: allowlist secret
            "mirror.invalid:8080/simple/a/)\n  cause: operation timed out",
            "mirror.invalid does not answer: check the internet connection and the firewall",
        ),
        ("Resolved 3 packages\nerror: What nobody thought of", "error: What nobody thought of."),
        (
            "error: Failed to read `x`\n  cause: Why\n  cause: No such file",
            "error: Failed to read `x`, cause: No such file.",
        ),
        ("", "uv wrote nothing."),
    ],
)
def test_the_cause_is_told_with_the_mend(written, sentence):
    told = explain(written.splitlines())
    assert told.startswith(sentence)
    assert "word@" not in told


@pytest.mark.parametrize("why", ["dns error", "tunnel error: unsuccessful", "operation timed out"])
def test_where_pytorchs_index_is_out_of_reach_another_build_is_named(why):
    host = "https://download.pytorch.org/whl/cpu/torch.whl"
    told = explain([f"error: Failed to fetch: {host}", f"  cause: {why}"])
    assert "download.pytorch.org" in told
    assert told.endswith(", or take PyPI's build of PyTorch (pypi).")
    assert "PyPI" not in explain(["error: Failed to fetch: https://a.invalid/x", f"  cause: {why}"])
    assert "PyPI" not in explain([f"error: Failed to fetch: {host}", "  cause: disk quota"])


def test_digits_in_an_address_are_no_status():
    address = "https://a.invalid/packages/4b/40/c4071e/x.whl"
    told = explain([f"error: Failed to fetch: {address}", "  cause: dns error"])
    assert told.startswith("a.invalid can't be found")
