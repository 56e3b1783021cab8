#!/bin/sh
# packaging/deb/build.sh BUILD VERSION: BUILD/deb/*.deb out of what `make install` installs with
# PREFIX=/usr: reeve (programs, units, pages, completion), libreeve0 and libreeve-dev.
set -eu
LC_ALL=C
export LC_ALL
umask 022
build=$(cd "$1" && pwd) version=$2
here=packaging/deb
out=$build/deb
arch=$(dpkg --print-architecture)
[ "$(id -u)" = 0 ] || owner=--root-owner-group
rm -rf "$out"
mkdir -p "$out"

make -s BUILD="$1" PREFIX=/usr DESTDIR="$out/all" install
strip --strip-unneeded "$out"/all/usr/bin/* "$out"/all/usr/lib/libreeve.so.0

# take PACKAGE PATH...: these files are in that package.
take() {
    package=$1
    shift
    for path in "$@"; do
        for file in "$out"/all/$path; do
            to=$out/$package/${file#"$out"/all/}
            mkdir -p "${to%/*}"
            mv "$file" "$to"
        done
    done
}
take libreeve0 'usr/lib/libreeve.so.0'
take libreeve-dev 'usr/include' 'usr/lib' 'usr/share/man/man3'
mkdir -p "$out/all/usr/lib/systemd/system" "$out/all/etc/default"
cp packaging/systemd/*.service "$out/all/usr/lib/systemd/system/"
cp $here/reeve-server.default "$out/all/etc/default/reeve-server"
take reeve 'usr' 'etc'
[ -z "$(find "$out/all" -type f)" ] || {
    echo "deb: these are in no package:"
    find "$out/all" -type f
    exit 1
}

# What programs and library need, by their own words; of ours this script knows.
mkdir -p "$out/tmp/debian"
printf 'Source: reeve\n\nPackage: reeve\nArchitecture: any\n' >"$out/tmp/debian/control"
needs() {
    (cd "$out/tmp" && dpkg-shlibdeps --ignore-missing-info -O -l"$out/libreeve0/usr/lib" "$@" 2>"$out/tmp/log") |
        sed -n 's/^shlibs:Depends=//p'
}

# package NAME DEPENDS SECTION DESCRIPTION...: its control files, and the package.
package() {
    name=$1 depends=$2 section=$3 line=$4 text=$5
    tree=$out/$name
    install -D -m 644 LICENSE "$tree/usr/share/doc/$name/copyright"
    find "$tree/usr/share/man" -type f -exec gzip -9n {} + 2>/dev/null || true
    mkdir -p "$tree/DEBIAN"
    for file in preinst postinst prerm postrm triggers conffiles; do
        [ ! -f "$here/$name.$file" ] || cp "$here/$name.$file" "$tree/DEBIAN/$file"
    done
    chmod 755 "$tree/DEBIAN"/p* 2>/dev/null || true
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\n' | sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
    cat >"$tree/DEBIAN/control" <<END
Package: $name
Version: $version
Architecture: $arch
Maintainer: The reeve project <reeve@localhost>
Installed-Size: $(du -k -s "$tree" | cut -f 1)
Depends: $depends
Section: $section
Priority: optional
Description: $line
 $text
END
    dpkg-deb ${owner-} -Zxz -b "$tree" "$out" >/dev/null
}
package libreeve0 "$(needs "$out/libreeve0/usr/lib/libreeve.so.0")" libs \
    "multiprocessing for C programs, across a network: the library" \
    "Queues, locks and pools that programs on many hosts share."
package libreeve-dev "libreeve0 (= $version), libzmq3-dev, libsodium-dev" libdevel \
    "multiprocessing for C programs, across a network: to build with" \
    "Headers, the static library, and manual pages of each function."
package reeve "libreeve0 (= $version), passwd, $(needs "$out"/reeve/usr/bin/*)" net \
    "multiprocessing for C programs, across a network: the programs" \
    "The manager, the agent that runs functions and commands on a host, and the tool. Neither service is
 enabled by the installation: see reeve-server(8) and reeve-worker(8)."
rm -rf "$out/all" "$out/tmp" "$out/reeve" "$out/libreeve0" "$out/libreeve-dev"
ls "$out"/*.deb
