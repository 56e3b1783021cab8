#!/bin/sh
# What is installed can be used: a program is compiled and linked against it, shared and static.
#
#     sh tests/lint/install.sh [SCRATCH]     a folder, made and filled by this

dest=${1:-build/check/dest}
mkdir -p "$dest" || exit 1
dest=$(cd "$dest" && pwd)
rm -rf "${dest:?}"/*
cc=${CC:-cc}

set -e
make -s install DESTDIR="$dest" PREFIX=/usr/local
lib=$dest/usr/local/lib
export PKG_CONFIG_PATH="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$dest"

cat >"$dest/tiny.c" <<'END'
#include <reeve.h>
#include <stdio.h>

int main(void)
{
    reeve_context *ctx = NULL;
    reeve_builder *b = reeve_builder_new();
    reeve_options options = {.url = "nonsense", .connect_timeout_ms = 10};
    reeve_err err = reeve_pack(b, "(is)", (int64_t)7, "x");

    if (err == REEVE_OK)
        err = reeve_builder_check(b);
    reeve_builder_free(&b);
    if (err != REEVE_OK || reeve_open(&ctx, &options) == REEVE_OK || ctx != NULL)
        return 1;
    printf("%s: %s\n", reeve_strerror(REEVE_OK), reeve_errmsg());
    return reeve_close(&ctx) != REEVE_OK;
}
END

cd "$dest"
# shellcheck disable=SC2046
$cc -Wall -Wextra -Werror $(pkg-config --cflags reeve) tiny.c $(pkg-config --libs reeve) -o tiny-shared
LD_LIBRARY_PATH=$lib ./tiny-shared
# shellcheck disable=SC2046
$cc -Wall -Wextra -Werror $(pkg-config --cflags reeve) tiny.c \
    $(pkg-config --static --libs reeve | sed 's/-lreeve/-l:libreeve.a/') -o tiny-static
if ldd tiny-static | grep libreeve; then
    echo "install.sh: tiny-static needs libreeve.so"
    exit 1
fi
./tiny-static
[ "$(pkg-config --modversion reeve)" != "" ]
"$dest/usr/local/bin/reeve" --version
"$dest/usr/local/bin/reeve-server" --version
"$dest/usr/local/bin/reeve-worker" --version
for file in man1/reeve.1 man8/reeve-server.8 man8/reeve-worker.8 man3/libreeve.3 man3/reeve_queue_put.3; do
    [ -s "$dest/usr/local/share/man/$file" ]
done
[ -s "$dest/usr/local/share/bash-completion/completions/reeve-worker" ]

# What was built for one prefix and is installed under another is found there.
cd - >/dev/null
make -s install DESTDIR= PREFIX="$dest/elsewhere"
unset PKG_CONFIG_SYSROOT_DIR
[ "$(PKG_CONFIG_PATH=$dest/elsewhere/lib/pkgconfig pkg-config --variable=prefix reeve)" = "$dest/elsewhere" ]
