#!/bin/sh
# The Debian packages in a clean root: installed, used as their units use them, and purged. The root
# is made by debootstrap once, and kept in $BUILD.
. tests/e2e/lib.sh

skip() {
    echo "skipped: $*"
    exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in dpkg-deb dpkg-shlibdeps unshare chroot; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
if nm -D "$BUILD/libreeve.so" | grep -qE '__(asan|tsan)_init'; then
    skip "packages are not made with a sanitizer"
fi
suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
[ "$(. /etc/os-release && echo "$ID")" = debian ] || skip "this is not Debian"
unshare -mn true 2>/dev/null || skip "this machine lets us make no namespace"

# ---- a clean root, with what the packages depend on ----

base=$BUILD/base-$suite.tar
if [ ! -s "$base" ]; then
    command -v debootstrap >/dev/null || skip "debootstrap is not installed"
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
        awk -v suite="$suite" '$2 == suite { print $1; exit }')
    # shellcheck disable=SC2086
    timeout 200 debootstrap --variant=minbase --include=libzmq5,libsodium23 "$suite" "$tmp/base" $mirror \
        >"$tmp/debootstrap.log" 2>&1 || skip "debootstrap can't make a root: $(tail -n 1 "$tmp/debootstrap.log")"
    rm -rf "$tmp/base/var/cache/apt" "$tmp/base/var/lib/apt/lists" "$tmp/base/usr/share/locale"
    tar -C "$tmp/base" -cf "$base.$$" . && mv "$base.$$" "$base"
    rm -rf "$tmp/base"
fi
root=$tmp/root
mkdir "$root"
tar -C "$root" -xf "$base"

# ---- the packages ----

make -s deb BUILD_DEB="$BUILD-deb" >"$tmp/deb.log" 2>&1 || {
    tail -n 20 "$tmp/deb.log"
    exit 1
}
cp "$BUILD-deb"/deb/*.deb "$root/tmp/"
equal 'there are three' "$(ls "$root"/tmp/*.deb | wc -l)" 3
check 'needs libzmq' sh -c "dpkg-deb -f '$root'/tmp/libreeve0_*.deb Depends | grep -q libzmq5"

# A program that is built with libreeve-dev, outside, for there is no compiler in there.
dpkg-deb -x "$root"/tmp/libreeve-dev_*.deb "$tmp/dev"
dpkg-deb -x "$root"/tmp/libreeve0_*.deb "$tmp/dev"
check 'a program is built' cc -std=c11 -D_GNU_SOURCE -I"$tmp/dev/usr/include" examples/squares.c -o "$root/tmp/squares" \
    -L"$tmp/dev/usr/lib" -lreeve

cat >"$root/tmp/inside" <<'END'
#!/bin/sh
# In the root. Each line: what is checked, and how that went.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/tmp DEBIAN_FRONTEND=noninteractive
cd /tmp
it() {
    what=$1
    shift
    if "$@" >/tmp/it.out 2>&1; then echo "ok $what"; else echo "FAIL $what: $*: $(tail -n 5 /tmp/it.out)"; fi
}
same() { [ "$1" = "$2" ] || { echo "got: $1"; false; }; }
before=$(getent passwd | wc -l)

# libreeve-dev wants the headers of others, which are not here; its files were used outside.
it install dpkg -i /tmp/libreeve0_*.deb /tmp/reeve_*.deb
for program in reeve reeve-server reeve-worker; do it version $program --version; done
it users same "$(($(getent passwd | wc -l) - before))" 2
for file in man/man1/reeve.1.gz man/man8/reeve-server.8.gz bash-completion/completions/reeve; do
    it "$file" test -s /usr/share/$file
done
it 'no enabled service' test ! -e /etc/systemd/system/multi-user.target.wants/reeve-server.service

# A program with a manager of its own.
it 'a program with a private manager' ./squares
it 'commands with a private manager' same "$(seq 3 | reeve map -k --url private: -- echo n 2>&1 | tr '\n' ' ')" 'n 1 n 2 n 3 '

# What the units start, as the users that they name.
start_unit() { # NAME VARIABLE=VALUE...
    unit=/usr/lib/systemd/system/$1.service
    user=$(sed -n 's/^User=//p' $unit)
    command=$(sed -n 's/^ExecStart=//p' $unit)
    shift
    # shellcheck disable=SC2086
    setpriv --reuid "$user" --regid "$user" --clear-groups env "$@" $command 2>"/tmp/$user.log" &
    started=$!
}
it "a manager key" runuser -u reeve -- reeve keygen --dir /etc/reeve manager
cp /etc/reeve/manager.pub /opt/
it "a key of admin" reeve keygen --dir /opt/keys --trust /opt/manager.pub --rights all,run admin
it "a key of worker" reeve keygen --dir /opt/keys --trust /opt/manager.pub --role worker worker
cp /opt/keys/*.pub /etc/reeve/authorized.d/
chmod 644 /etc/reeve/authorized.d/*
install -o reeve-worker -m 600 /opt/keys/worker.key /etc/reeve/worker.key
install -d -o reeve -g reeve -m 700 /run/reeve
start_unit reeve-server XDG_RUNTIME_DIR=/run REEVE_BIND=tcp://127.0.0.1:7300,ipc:///run/reeve/reeve.sock
server=$started
# The url comes from a file that holds for the whole host.
echo 'url = tcp://127.0.0.1:7300' >/etc/reeve/50-site.conf
export REEVE_KEY=/opt/keys/admin.key
it 'the manager answers' reeve status --health --timeout 20
start_unit reeve-worker REEVE_KEY=/etc/reeve/worker.key
worker=$started
it 'a map on the agent' same "$(seq 20 | reeve map -k --timeout 60 -- echo n 2>&1)" "$(seq 20 | sed 's/^/n /')"
it 'commands run as the agent user' same "$(reeve run -- id -un)" reeve-worker
it 'they do not read the key of the manager' same "$(reeve run -- cat /etc/reeve/manager.key 2>/dev/null)" ''
it 'an item is put' reeve put work kept
kill -9 $server
wait $server 2>/dev/null
start_unit reeve-server XDG_RUNTIME_DIR=/run REEVE_BIND=tcp://127.0.0.1:7300
server=$started
it 'it is there after the manager was killed' same "$(reeve get work --timeout 20)" kept
kill $worker
wait $worker
it 'the agent ends well' same $? 0
kill $server
wait $server
it 'the manager ends well' same $? 0

it reinstall dpkg -i /tmp/libreeve0_*.deb /tmp/reeve_*.deb
it 'keys stay' test -s /etc/reeve/manager.key
it remove dpkg -r reeve
it 'data stay' test -d /var/lib/reeve
it purge dpkg --purge reeve libreeve0
it 'nothing is left' same "$(find / -xdev \( -path /proc -o -path /tmp -o -path /dev -o -path /run \) -prune -o \
    -name '*reeve*' -print | grep -v '/dpkg/info/\|/log/')" ''
it 'no user is left' same "$(getent passwd | wc -l)" "$before"
echo over
END
chmod +x "$root/tmp/inside"
# Mounts, network and processes of its own: what it leaves behind goes with it.
timeout -k 5 60 unshare -mnpf --kill-child sh -c '
    ip link set lo up 2>/dev/null
    mount --make-rprivate / && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" &&
        mount -t tmpfs tmpfs "$1/run" && exec chroot "$1" /usr/bin/env -i /tmp/inside' sh "$root" >"$tmp/inside.out" 2>&1 </dev/null
grep -v '^ok ' "$tmp/inside.out" | grep '^FAIL' | while read -r line; do echo "     $line"; done
equal 'all of it went well' "$(grep -c '^FAIL' "$tmp/inside.out")" 0
equal 'to the end' "$(tail -n 1 "$tmp/inside.out")" over
passed=$((passed + $(grep -c '^ok ' "$tmp/inside.out")))
[ $failed = 0 ] || tail -n 30 "$tmp/inside.out"
finish
