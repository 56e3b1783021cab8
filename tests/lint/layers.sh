#!/bin/sh
# Who may include whom. The table at the end is the architecture, in a form that a machine checks.
#
#     sh tests/lint/layers.sh          from the root of the tree
#
# Includes are written from the root ("common/wire/msg.h"), so that this file can see them.
# <reeve/error.h> and <reeve/types.h>, whose codes and types are used everywhere, may be included
# anywhere; the other public headers only where `layer` is given the word public.

LC_ALL=C
export LC_ALL
found=$(mktemp)
trap 'rm -f "$found" "$found.table" "$found.code"' EXIT

shipped='common server proxy worker cli'

# Files of one folder, not of those below it.
files_in() {
    find "$1" -maxdepth 1 -name '*.[ch]' 2>/dev/null | sort
}

# All files that are part of the programs and the library.
all_files() {
    for folder in $shipped; do
        find "$folder" -name '*.[ch]' 2>/dev/null
    done | sort
}

complain() {
    echo "$1" >>"$found"
}

# file:line:name of every include of ours; system headers in <> too, with their brackets.
includes() {
    grep -HnE '^[ 	]*#[ 	]*include' "$@" /dev/null | grep -v '^/dev/null' |
        sed -E 's/^([^:]*:[0-9]+):[^"<]*(["<])([^">]*).*/\1 \2\3/'
}

# layer FOLDER [public] [FOLDER ...]: FOLDER may include its own files and those of the others.
layer() {
    folder=$1
    shift
    echo "$folder" >>"$found.table"
    files=$(files_in "$folder")
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086
    includes $files | while read -r where name; do
        allowed=no
        case $name in
        '<reeve/error.h' | '<reeve/types.h') continue ;;
        '<reeve.h' | '<reeve/'*)
            for a in "$@"; do [ "$a" = public ] && allowed=yes; done
            ;;
        '<'*) continue ;;
        "\"$folder/"*/*) ;;
        "\"$folder/"*) allowed=yes ;;
        esac
        for a in "$@"; do
            case $name in "\"$a/"*) allowed=yes ;; esac
        done
        [ $allowed = yes ] || complain "$where: $folder may not include $(echo "$name" | tr -d '"<')"
    done
}

# only PATTERN WHERE: headers that match may be included in files that match WHERE.
only() {
    # shellcheck disable=SC2046
    includes $(all_files) | grep -E "[<\"]($1)\$" | grep -vE "^($2)[^ ]*:[0-9]+ " |
        while read -r where name; do
            complain "$where: $(echo "$name" | tr -d '"<') belongs to $(echo "$2" | tr -d '\\' | sed 's/|/ and /g') alone"
        done
}

# A file without its comments and texts, with its line numbers.
code() {
    awk '{
        line = $0; out = ""
        gsub(/\\"/, "", line)
        while (line != "") {
            if (inside) {
                end = index(line, "*/")
                if (end == 0) break
                line = substr(line, end + 2); inside = 0
            } else if (match(line, /"[^"]*"|\/\*|\/\//)) {
                out = out substr(line, 1, RSTART - 1)
                token = substr(line, RSTART, RLENGTH)
                line = substr(line, RSTART + RLENGTH)
                if (token == "//") break
                if (token == "/*") inside = 1
            } else { out = out line; break }
        }
        print FILENAME ":" FNR ": " out
    }' "$1"
}

# calls NAMES WHERE: these functions may be called in files that match WHERE.
calls() {
    all_files | grep -vE "^($2)" | while read -r file; do
        code "$file" | grep -E "(^|[^A-Za-z0-9_>.])($1)[ ]*\(" | while read -r where text; do
            complain "${where%:}: only $2 may start processes: $text"
        done
    done
}

layer include          public
layer include/reeve    public
layer common/base
layer common/wire      common/base
layer common/value     common/base
layer common/net       common/base common/wire
layer common/proc      common/base
layer server/core      common/base common/value common/wire
layer worker/core      common/base common/value common/wire
layer proxy/core       common/base common/value common/wire
layer server           common server/core
layer worker           public common worker/core
layer proxy            public common proxy/core
layer cli              public common
layer examples         public

only 'zmq\.h|zmq_utils\.h'                'common/net/'
only 'sodium\.h|sodium/.*'                'common/net/|common/wire/digest\.c'
only 'czmq\.h|czmq_.*'                    'nobody'
calls 'fork|vfork|clone3?|posix_spawnp?|system|popen|daemon' 'common/proc/'

# Every folder has its layer; nothing lies in common/ itself.
all_files | sed 's|/[^/]*$||' | sort -u | grep -vxFf "$found.table" | while read -r folder; do
    complain "$folder: no layer; add one to tests/lint/layers.sh or move its files"
done

# A file name appears in assertions and logs: it must name one file.
all_files | sed 's|.*/||' | sort | uniq -d | while read -r name; do
    complain "$name: a name for two files: $(all_files | grep "/$name\$" | tr '\n' ' ')"
done

# Every unit test is run: its group stands in the table of the runner.
for file in tests/unit/test_*.c tests/wire/test_*.c; do
    [ -e "$file" ] || continue
    for group in $(sed -nE 's/^int test_([a-z0-9_]+)\(void\)$/\1/p' "$file"); do
        grep -qE "X\($group\)" tests/unit/main.c ||
            complain "$file: group $group has no row in tests/unit/main.c"
    done
done

if [ -s "$found" ]; then
    cat "$found"
    echo "layers.sh: $(wc -l <"$found") offences; the table of layers is in tests/lint/layers.sh"
    exit 1
fi
