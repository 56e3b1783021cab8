#!/bin/sh
# docs/man/make.sh BUILD VERSION DATE: BUILD/man with the manual pages, BUILD/completion with that of
# bash; out of what the programs in BUILD say of themselves, and the public headers. So they can't be
# of another day.
set -eu
LC_ALL=C
export LC_ALL
build=$1 version=$2 date=$3
here=docs/man
rm -rf "$build/man" "$build/help" "$build/completion"
mkdir -p "$build/man" "$build/help" "$build/completion"

help=$build/help
for program in reeve reeve-server reeve-worker; do
    "$build/$program" --help >"$help/$program.help"
done
commands=$(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$help/reeve.help")
texts=
for command in $commands; do
    "$build/reeve" "$command" --help >"$help/$command.help"
    texts="$texts $help/$command.help"
done

# page NAME SECTION ALSO HELP...
page() {
    name=$1 section=$2 also=$3
    shift 3
    awk -f $here/roff.awk -f $here/program.awk -v name="$name" -v section="$section" -v date="$date" \
        -v version="$version" -v also="$also" "$@" >"$build/man/$name.$section"
}
# shellcheck disable=SC2086
page reeve 1 'reeve-server.8 reeve-worker.8 libreeve.3' "$help/reeve.help" $texts
page reeve-server 8 'reeve.1 reeve-worker.8' "$help/reeve-server.help"
page reeve-worker 8 'reeve.1 reeve-server.8' "$help/reeve-worker.help"

# ---- the library: a page a header, and one that lists them ----

for path in include/reeve/*.h; do
    name=${path##*/}
    name=reeve_${name%.h}
    awk -f $here/roff.awk -f $here/header.awk -v name="$name" -v header="reeve/${path##*/}" -v date="$date" \
        -v version="$version" -v names_to="$build/man/$name.names" "$path" >"$build/man/$name.3"
done
{
    printf '.TH LIBREEVE 3 %s "reeve %s" "reeve"\n' "$date" "$version"
    cat $here/libreeve.head
    for path in "$build"/man/reeve_*.3; do
        name=${path##*/}
        printf '.TP\n.BR %s (3)\n' "${name%.3}"
        sed -n '/^\.SH NAME/{n;s/^[^ ]* \\- //p;q;}' "$path"
    done
    printf '.SH SEE ALSO\n.BR reeve (1),\n.BR reeve\\-server (8)\n'
} >"$build/man/libreeve.3"
# Each function is found by its own name.
cat "$build"/man/*.names | while read -r function name; do
    [ -e "$build/man/$function.3" ] || echo ".so man3/$name.3" >"$build/man/$function.3"
done
rm -f "$build"/man/*.names

# shellcheck disable=SC2086
awk -f $here/completion.awk -v rest=$here/completion.rest "$help/reeve.help" "$help/reeve-server.help" \
    "$help/reeve-worker.help" $texts >"$build/completion/reeve"
# bash looks for it by the name of the program.
for program in reeve-server reeve-worker; do
    ln -sf reeve "$build/completion/$program"
done
