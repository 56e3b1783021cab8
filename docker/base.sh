#!/bin/sh
# docker/base.sh [NAME]: see to it that the image NAME is there: it is, or it can be pulled, or it
# is made by debootstrap (as root), with the sources of packages that apt has on this host.
# Default: what the Dockerfile is built on, debian:bookworm-slim.
set -eu
name=${1:-debian:bookworm-slim}
suite=${name#*:}
suite=${suite%-slim}

docker image inspect "$name" >/dev/null 2>&1 && exit 0
echo "base.sh: $name is not here: pulling it"
timeout 60 docker pull -q "$name" >/dev/null 2>&1 && exit 0

echo "base.sh: it can't be pulled: making it by debootstrap"
if [ "$(id -u)" != 0 ]; then
    echo "base.sh: that must be done by root"
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends debootstrap ||
        { apt-get -q -o DPkg::Lock::Timeout=300 update &&
            DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends debootstrap; }
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/reeve-base.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

# Where this host has the suite from, and what comes with it; without an answer debootstrap knows.
{ apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null ||
    true; } | sort -u | awk -v suite="$suite" '$3 == "Debian" && index($2, suite) == 1' >"$work/sources"
mirror=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' "$work/sources")
# shellcheck disable=SC2086
debootstrap --variant=minbase "$suite" "$work/tree" $mirror >"$work/log" 2>&1 || {
    tail -n 5 "$work/log"
    exit 1
}
[ -z "$mirror" ] || awk '{ print "deb", $1, $2, "main" }' "$work/sources" >"$work/tree/etc/apt/sources.list"
apt-config dump 2>/dev/null | grep -E '^Acquire::(https?::Proxy|Check-(Valid-Until|Date)) ' \
    >"$work/tree/etc/apt/apt.conf.d/01host" || true
# What containers do without: manuals, other languages, what apt can fetch again.
printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-include /usr/share/doc/*/copyright' \
    'path-exclude /usr/share/man/*' 'path-exclude /usr/share/locale/*' \
    >"$work/tree/etc/dpkg/dpkg.cfg.d/slim"
echo force-unsafe-io >"$work/tree/etc/dpkg/dpkg.cfg.d/speedup"
printf '%s\n' 'Acquire::Languages "none";' >"$work/tree/etc/apt/apt.conf.d/01slim"
cd "$work/tree"
find usr/share/doc -type f ! -name copyright -delete
find usr/share/doc -type l -delete
find usr/share/doc -type d -empty -delete
rm -rf usr/share/man/* usr/share/locale/* usr/share/info/* var/lib/apt/lists/* var/cache/apt/* \
    var/cache/debconf/*-old var/cache/ldconfig/* var/log/*log var/log/apt
tar --numeric-owner -c . | docker import -c 'CMD ["/bin/sh"]' - "$name" >/dev/null
echo "base.sh: made $name"
