#!/usr/bin/env bash
# Tests this checkout's last commit with the QGIS of several Debian releases, each in a bare chroot of
# its own, by the commands of README. A chroot takes 4 to 10 GB and is kept for the next time.
#
#   RELEASES        the releases; the oldest and the newest QGIS that Debian has, and one between
#   CHROOTS         the folder of the chroots
#   GOALS           what `make` is asked for in each
#   DEBIAN_MIRROR   where packages come from; debootstrap's own choice where it is not set
#
# What a chroot mounts and runs lives in namespaces of its own, so that nothing of it is left however
# this script ends.
set -uo pipefail
cd "$(dirname "$0")/.."

releases=${RELEASES:-bookworm trixie forky}
chroots=$(realpath --canonicalize-missing "${CHROOTS:-build/chroots}")
goals=${GOALS:-setup-tests test-qgis}
bare=ca-certificates,git,make,python3
# The caller's variables that hold in the chroots too; the files that they name are copied into them.
passed=(http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
    SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE PIP_CERT
    PIP_INDEX_URL PIP_FIND_LINKS UV_DEFAULT_INDEX UV_FIND_LINKS)

isolated() { # [options of unshare] command: ends with this script
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child "$@" &
    wait $!
}

make_chroot() { # release
    local root=$chroots/$1 script=/usr/share/debootstrap/scripts/$1
    [ -d "$root" ] && return
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    rm -rf "$root.partial"
    isolated --mount-proc debootstrap --variant=minbase --include="$bare" \
        "$1" "$root.partial" "${DEBIAN_MIRROR:-}" "$script" || return
    # A mirror may stand still for longer than a testing release's index is valid.
    echo 'Acquire::Check-Valid-Until "false";' >"$root.partial/etc/apt/apt.conf.d/standing-mirror"
    mv "$root.partial" "$root"
}

copy_commit() { # root
    local checkout=$1/root/landslide-mapper
    git init --quiet "$checkout" &&
        git -C "$checkout" fetch --quiet --depth 1 "file://$PWD" HEAD &&
        git -C "$checkout" reset --quiet --hard FETCH_HEAD &&
        git -C "$checkout" clean --quiet --force -d
}

copy_file() { # path root: unpacked inside, where links can't lead out of the chroot
    tar --create --dereference --directory=/ ".$1" | chroot "$2" tar --extract --directory=/
}

run_goals() { # root
    local name value environment=(HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin)
    for name in "${passed[@]}"; do
        value=${!name:-}
        [ -n "$value" ] && environment+=("$name=$value")
        [[ $value = /* && -e $value ]] && copy_file "$value" "$1"
    done
    # A shell goes first in the new process tree: it buries the processes that lost their parents.
    isolated --root="$1" --mount-proc --wd=/root/landslide-mapper \
        env --ignore-environment "${environment[@]}" bash -c 'make "$@"; exit $?' make $goals
}

versions() { # root
    local qgis python
    qgis=$(dpkg-query --admindir="$1/var/lib/dpkg" --show --showformat='${Version}' qgis 2>/dev/null)
    python=$(chroot "$1" python3 --version 2>/dev/null)
    printf '%-12s %-10s' "${qgis%%[+-]*}" "${python#Python }"
}

if [ "$(id -u)" -ne 0 ]; then
    echo "Run as root: chroots need it." >&2
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    echo "Install debootstrap first, which makes the chroots." >&2
    exit 1
fi
trap 'exit 130' INT TERM HUP
mkdir -p "$chroots"
table=() failed=0
for release in $releases; do
    SECONDS=0
    log=$chroots/$release.log
    root=$chroots/$release
    { make_chroot "$release" && copy_commit "$root" && run_goals "$root"; } > >(tee "$log") 2>&1
    status=$?
    result=$(grep --only-matching '[0-9][0-9]* passed.*' "$log" | tail -n 1)
    [ "$status" -eq 0 ] || result="failed, see $log"
    [ "$status" -eq 0 ] || failed=1
    table+=("$(printf '%-10s %s %6s s  %s' "$release" "$(versions "$root")" "$SECONDS" "$result")")
done
printf '\n%-10s %-12s %-10s %8s  %s\n' release QGIS Python time result
printf '%s\n' "${table[@]}"
exit $failed
