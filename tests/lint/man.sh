#!/bin/sh
# The manual pages say all that --help and the headers say, are clean, and bash completes by them.
#
#     sh tests/lint/man.sh [BUILD]
LC_ALL=C
export LC_ALL
build=${1:-build}
man=$build/man
bad=0
make -s BUILD="$build" manuals || exit 1
complain() {
    echo "man.sh: $*"
    bad=1
}

# ---- nothing is left out ----

plain() { sed 's/\\-/-/g; s/\\f[BIR]//g' "$1"; }
for help in "$build"/help/*.help; do
    of=${help##*/}
    of=${of%.help}
    case $of in
    reeve) page=$man/reeve.1 ;;
    reeve-server | reeve-worker) page=$man/$of.8 ;;
    serve | worker) grep -q "^\.SS \"reeve $of\"" "$man/reeve.1" || complain "reeve.1 lacks $of"; continue ;;
    *)
        page=$man/reeve.1
        grep -q "^\.SS \"reeve $of\"" "$page" || complain "reeve.1 lacks $of"
        ;;
    esac
    plain "$page" >"$man/plain"
    for option in $(sed -n 's/^  .*\(--[a-z][a-z-]*\).*/\1/;T;s/^  *//;p' "$help" | sort -u); do
        grep -qw -e "$option" "$man/plain" || complain "${page##*/} lacks $option of $of"
    done
done
rm -f "$man/plain"
for name in $(cat include/reeve/*.h | sed -n '/^REEVE_API/{:a;/(/!{N;ba};s/^\([^(]*\)(.*/\1/;s/.*[ *\n]//;p}' | sort -u); do
    [ -s "$man/$name.3" ] || complain "no page of $name"
done

# ---- they are clean ----

pages=$(grep -L '^\.so ' "$man"/*)
if command -v mandoc >/dev/null; then
    # shellcheck disable=SC2086
    mandoc -Tlint -Wwarning $pages | head -20 | grep . && complain "mandoc -Tlint is not content"
fi

# ---- completion ----

# completes LINE WORD...: the line, completed at its end, gives these words.
completes() {
    line=$1
    shift
    got=$(bash --norc -c '
        . "$1"
        read -ra COMP_WORDS <<<"$2"
        [[ $2 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$2 COMP_POINT=${#2}
        _reeve
        printf "%s\n" "${COMPREPLY[@]}"' bash "$build/completion/reeve" "$line" | sort -u | tr '\n' ' ')
    [ "$got" = "$* " ] || complain "completion of \`$line\` is $got, and should be $*"
}
if command -v bash >/dev/null; then
    bash -n "$build/completion/reeve" || complain "the completion is no bash"
    completes 'reeve sta' status
    completes 'reeve ba' backup barrier
    completes 'reeve map --ret' --retries
    completes 'reeve put --j' --joinable --json
    completes 'reeve keygen --role w' worker
    completes 'reeve keygen --server a' ''
    completes 'reeve dead r' requeue
    completes 'reeve dict x se' set setdefault
    completes 'reeve list --follow' --follow
    completes 'reeve namespace x n' names
    completes 'reeve serve --da' --data
    completes 'reeve-server --log-level de' debug
    completes '/usr/bin/reeve-worker --lo' --log-level --lost-exit
    completes 'reeve lock --on-abandoned f' fail
    completes 'reeve put --durable o' os
    completes 'reeve get --durable s' sync
    completes 'reeve run --folder tests/lin' tests/lint
    completes 'reeve lock x -- gre' "$(bash --norc -c 'compgen -c gre' | sort -u | tr '\n' ' ' | sed 's/ $//')"
fi
[ $bad = 0 ]
