"""How much memory is free, in a container or a job of a queue too."""

import pytest
from landslide_mapper.landslide_plugin.core import memory

GB = 10**9


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return a function that has this process be in a group, and says what groups may use."""
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_LIMITS", tmp_path / "fs")
    monkeypatch.setattr(memory, "_free_on_machine", lambda: 64.0 * GB)

    def write(lines, **files):
        (tmp_path / "cgroup").write_text(lines)
        for name, text in files.items():
            path = tmp_path / "fs" / name.replace("__", "/").replace("_of_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_without_groups_it_is_what_the_machine_has(groups):
    assert memory.available_memory() == 64 * GB


def test_of_a_container_it_is_what_the_limit_leaves_and_files_may_be_given_up(groups):
    """Version 2, as docker and Kubernetes have it: the path may be one of the host."""
    groups(
        "0::/docker/abc\n",
        memory_of_max=f"{4 * GB}\n",
        memory_of_current=f"{3 * GB}\n",
        memory_of_stat=f"anon {2 * GB}\ninactive_file {GB // 2}\nactive_file 7\n",
    )
    assert memory.available_memory() == 1.5 * GB


def test_of_a_job_it_is_what_the_narrowest_group_above_leaves(groups):
    job = {"max": "max", "current": "5", "stat": "inactive_file 0"}
    user = {"max": str(9 * GB), "current": str(GB), "stat": "inactive_file 0"}
    groups(
        "0::/slurm/job_1/step\n",
        **{f"slurm__job_1__step__memory_of_{name}": text for name, text in job.items()},
        **{f"slurm__job_1__memory_of_{name}": text for name, text in user.items()},
    )
    assert memory.available_memory() == 8 * GB


def test_of_version_1_too_which_says_a_number_for_no_limit(groups):
    files = {"limit_in_bytes": str(2 * GB), "usage_in_bytes": str(3 * GB), "stat": "cache 1"}
    top = files | {"limit_in_bytes": "9223372036854771712"}
    groups(
        "5:devices:/a\n4:memory,hugetlb:/a\n0::/\n",
        **{f"memory__a__memory_of_{name}": text for name, text in files.items()},
        **{f"memory__memory_of_{name}": text for name, text in top.items()},
    )
    assert memory.available_memory() == 0
