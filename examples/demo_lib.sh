# demo_lib.sh -- what demo.sh and queue_demo.sh share: the text, the keys, the manager, the check.
# Sourced. Everything they make lies in $tmp, which goes when they end, however they end.
# BUILD says where the programs are; default: build.
# shellcheck shell=sh disable=SC2034

set -u
LC_ALL=C
export LC_ALL
unset REEVE_URL REEVE_KEY REEVE_CONFIG

build=${BUILD:-build}
tmp=
running=                    # what was started and not waited for

say() { printf '%s\n' "$*"; }

# Only for a terminal: words that stay until the next ones come.
tell() { [ ! -t 2 ] || printf '\r\033[K%s' "$*" >&2; }

die() {
    tell
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# shellcheck disable=SC2317
clean() {
    trap '' INT TERM HUP
    for pid in $running; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    [ -z "$tmp" ] || rm -rf "$tmp"
}

# begin_demo PROGRAM...: these are needed.
begin_demo() {
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    for program in "$@"; do
        [ -x "$build/$program" ] || die "cannot run $build/$program: it is not there; run: make"
    done
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/reeve-demo.XXXXXX") || die "cannot make a temporary directory"
}

megabytes() { echo $((($1 + 500000) / 1000000)); }
now() { date +%s%N; }
milliseconds() { echo $((($2 - $1) / 1000000 + 1)); } # FROM TO

# seconds MILLISECONDS
seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# ---- the input: names of files, one a line, in $tmp/once; their bytes in $once ----

# Sizes and names of files of text below the folders.
texts() {
    find "$@" -type f -size +0 ! -name '*.xz' ! -name '*.bz2' ! -name '*.zst' \
        ! -name '*.png' ! -name '*.jpg' ! -name '*.gif' ! -name '*.pdf' ! -name '*.pyc' \
        ! -name '*.html' ! -name '*.js' ! -name '*.css' ! -name '*.so*' ! -name '*.a' ! -name '*.o' \
        -exec wc -c {} + 2>/dev/null
}

# Names from sizes and names, up to a number of bytes.
up_to() {
    awk -v limit="$1" '{
        size = $1
        sub(/^ *[0-9]+ /, "")
        if ($0 == "total") next
        if (sum + size > limit) next
        sum += size
        print
    }'
}

# Names as they are; of gzipped files those of what is in them, unpacked below $tmp.
unpacked() {
    mkdir "$tmp/text"
    tee "$tmp/names" | grep -v '\.gz$'
    grep '\.gz$' "$tmp/names" | tr '\n' '\0' | xargs -0 -r cp --parents -t "$tmp/text" 2>/dev/null
    find "$tmp/text" -name '*.gz' -exec gzip -dqf {} + 2>/dev/null
    find "$tmp/text" -type f ! -name '*.gz' -size +0
}

# find_text LIMIT [DIR]: the files below DIR; without DIR the text that every system has, about so
# many bytes of it.
find_text() {
    [ $# -lt 2 ] || [ -d "$2" ] || die "cannot read $2: it is not a directory"
    tell 'looking for text ...'
    [ $# -le 1 ] || [ -d "$2" ] || die "cannot read $2: it is not a directory"
    if [ $# -gt 1 ]; then
        find "$(cd "$2" && pwd)" -type f -size +0 -exec wc -c {} + | up_to 1e15
    else
        texts /usr/share/doc /usr/share/common-licenses /usr/share/man /usr/share/perl* \
            /usr/share/vim /usr/lib/python3* /usr/include /usr/share/info /usr/share/i18n |
            up_to "$1"
    fi | unpacked >"$tmp/once"
    once=$(tr '\n' '\0' <"$tmp/once" | xargs -0 -r cat | wc -c)
    tell
    [ "$once" -gt 0 ] || die "there is nothing to count; name a directory with text: ./demo DIR"
}

# repeat_text TIMES: $tmp/files has the names so often; $total bytes.
repeat_text() {
    times=$1
    total=$((once * times))
    i=0
    while [ $i -lt "$times" ]; do
        cat "$tmp/once"
        i=$((i + 1))
    done >"$tmp/files"
    text="$(megabytes $total) MB of text"
    [ "$times" -eq 1 ] || text="$text ($(megabytes "$once") MB, $times times)"
}

# ---- keys, a manager ----

reeve() { "$build/reeve" "$@"; }

# new_key NAME [OPTION]...: one that the manager will admit.
new_key() {
    [ -d "$tmp/manager" ] || reeve keygen --dir "$tmp/manager" manager >/dev/null ||
        die "cannot make the manager's key"
    name=$1
    shift
    reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" "$@" "$name" >/dev/null &&
        cp "$tmp/keys/$name.pub" "$tmp/manager/authorized.d/" || die "cannot make the key $name"
}

# On a free port of this host, in $REEVE_URL; its process id is in $server.
start_manager() {
    mkfifo "$tmp/ready" || die "cannot make a fifo"
    "$build/reeve-server" --bind tcp://127.0.0.1:0 --keys "$tmp/manager" --ready-fd 3 \
        3>"$tmp/ready" 2>"$tmp/server.log" &
    server=$!
    running="$running $server"
    read -r REEVE_URL <"$tmp/ready" || die "the manager did not start: $(cat "$tmp/server.log")"
    export REEVE_URL
}

# ---- the check ----

# What $tmp/counted must be, into $tmp/wanted. Text that was counted N times has N times the words
# of the text once, because a file's end ends a word. Lines of no word do not count.
check_counts() {
    tell 'checking ...'
    check_begin=$(now)
    tr '\n' '\0' <"$tmp/once" | xargs -0 grep -ah '' | tr -cs A-Za-z '\n' | sort -T "$tmp" |
        uniq -c | awk -v times="$times" 'NF == 2 { printf "%.0f %s\n", $1 * times, $2 }' |
        sort -k1,1nr -k2,2 >"$tmp/wanted"
    check_ms=$(milliseconds "$check_begin" "$(now)")
    tell
    cmp -s "$tmp/counted" "$tmp/wanted" || {
        diff "$tmp/wanted" "$tmp/counted" | head -5
        die "checked against sort | uniq -c: NOT equal; < is what it should be."
    }
}

ten_words() { head -10 "$tmp/counted" | awk '{ printf "%11d %s\n", $1, $2 }'; }
