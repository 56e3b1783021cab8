#!/bin/sh
# What of Python's multiprocessing is there: docs/parity.def and the tags in the tests, together.
#
#     sh tests/lint/parity.sh           is docs/PARITY.md true?
#     sh tests/lint/parity.sh --write   make it so
#
# A tag is a comment in a test, before the test or inside it, in any .c, .py or .sh under tests/:
#
#     /* row: Q04 Q05 */        # row: Q04 Q05

LC_ALL=C
export LC_ALL
here=docs/PARITY.md
tags=$(mktemp)
trap 'rm -f "$tags" "$tags.md"' EXIT

# Lines "id file test" for each tag. The test is the function that the tag stands in (when it is
# indented) or the next one.
find tests -type f \( -name '*.c' -o -name '*.py' -o -name '*.sh' \) -not -path 'tests/lint/*' |
    sort | xargs awk '
    function flush(name,    i) {
        for (i = 1; i <= waiting; i++) print waits[i], file, name
        waiting = 0
    }
    FNR == 1 { flush(""); file = FILENAME; current = "" }
    {
        name = ""
        if (match($0, /^(static +)?(void|int|bool) +[a-z][a-z0-9_]*\(/)) {
            name = substr($0, 1, RLENGTH - 1); sub(/^.* /, "", name)
        } else if (match($0, /^[A-Z]+\([a-z][a-z0-9_]*\)/)) {
            name = substr($0, 1, RLENGTH - 1); sub(/^[A-Z]+\(/, "", name)
        } else if (match($0, /^ *(async +)?def +[a-z][a-z0-9_]*\(/)) {
            name = substr($0, 1, RLENGTH - 1); sub(/^.* /, "", name)
        } else if (match($0, /^[a-z][a-z0-9_]*\(\) *[{(]?/)) {
            name = $0; sub(/\(.*/, "", name)
        }
        if (name != "") { current = name; flush(name) }
    }
    match($0, /(\/\*|#|\*).*row: *[A-Z][0-9][0-9]([ ,]+[A-Z][0-9][0-9])*/) {
        text = $0
        sub(/^.*row: */, "", text)
        sub(/[^A-Z0-9 ,].*$/, "", text)
        n = split(text, ids, /[ ,]+/)
        for (i = 1; i <= n; i++)
            if (ids[i] != "") {
                if ($0 ~ /^[ \t]+[^ \t*]/ && current != "") print ids[i], file, current
                else waits[++waiting] = ids[i]
            }
    }
    END { flush("") }' | sort -u >"$tags"

awk -v tags="$tags" '
    function complain(text) { print "parity: " text >"/dev/stderr"; bad = 1 }
    BEGIN {
        # Every row there must be, and the titles of the parts.
        all = "P 44 X 4 C 24 Q 17 S 17 A 8 H 8 M 32 T 17 R 20 L 30 D 4"
        title["P"] = "Process and start methods"; title["X"] = "Contexts"
        title["C"] = "Connections"; title["Q"] = "Queues"; title["S"] = "Synchronisation"
        title["A"] = "Shared ctypes"; title["H"] = "Shared memory"; title["M"] = "Managers"
        title["T"] = "Types of a manager"; title["R"] = "Proxies"; title["L"] = "Pool"
        title["D"] = "Logging and dummy"
        n = split(all, part, " ")
        for (i = 1; i < n; i += 2)
            for (j = 1; j <= part[i + 1]; j++) {
                order[++rows] = id = sprintf("%s%02d", part[i], j)
                known[id] = 1
            }
        while ((getline line < tags) > 0) {
            split(line, word, " ")
            id = word[1]
            where = word[2]
            sub(/^tests\//, "", where)
            if (word[3] != "") where = where ": " word[3]
            tested[id] = tested[id] (tested[id] == "" ? "" : ", ") where
            if (!(id in known)) complain(word[2] ": a tag names the row " id ", which there is not")
        }
    }
    /^ROW\(/ {
        if (split($0, field, "\"") != 5 || field[5] != ")") {
            complain("docs/parity.def:" FNR ": not ROW(id, status, \"text\", \"reason\")"); next
        }
        split(field[1], word, /[(, ]+/)
        id = word[2]; status = word[3]
        if (!(id in known)) complain("docs/parity.def:" FNR ": no such row: " id)
        if (id in text) complain("docs/parity.def:" FNR ": " id " stands here twice")
        if (status != "auto" && status != "done" && status != "open" && status != "different")
            complain("docs/parity.def:" FNR ": status " status "; it is auto, done, open or different")
        if (status == "done" && tested[id] == "")
            complain(id " is done, but no test has its tag: write /* row: " id " */ before the test, or make it auto")
        if (status == "open" && tested[id] != "")
            complain(id " is open, but tested by " tested[id] ": flip it: make it auto in docs/parity.def")
        if (status == "different" && field[4] == "")
            complain(id " is different, but the reason is missing in docs/parity.def")
        if (status == "auto") status = tested[id] == "" ? "open" : "done"
        text[id] = field[2]; why[id] = field[4]; state[id] = status
        count[status]++
        next
    }
    /^[^#]/ { complain("docs/parity.def:" FNR ": what is this?") }
    END {
        for (i = 1; i <= rows; i++)
            if (!(order[i] in text)) complain(order[i] " is missing in docs/parity.def")
        print "# What of multiprocessing is there\n"
        print "Made by `sh tests/lint/parity.sh --write` from `docs/parity.def` and the tags in the tests;"
        print "do not edit.\n"
        print "*done*: a test that passes holds it. *different*: not as in Python, on purpose, and here"
        print "is why. *open*: not there yet, or not yet tested.\n"
        print "multiprocessing keeps nothing beyond the end of its manager. Here a manager with `--data` does: what"
        print "a call has changed survives what its object or pool was opened for when the call returns: nothing"
        print "(`none`), the end of the process (`os`) or the loss of power (`sync`, the default). Calls that make or"
        print "remove objects always are `sync`. `task_done` without a fence, releases and"
        print "puts to an unbounded queue return before that; the next call that is answered, or a flush, says that"
        print "they are as safe. `reeve_reached()` tells the level of the last answer; for each operation it stands"
        print "in the column *survives* of [PROTOCOL.md](PROTOCOL.md).\n"
        printf "| rows | done | different | open |\n| ---: | ---: | ---: | ---: |\n"
        printf "| %d | %d | %d | %d |\n", rows, count["done"], count["different"], count["open"]
        for (i = 1; i <= rows; i++) {
            id = order[i]
            letter = substr(id, 1, 1)
            if (letter != last) {
                printf "\n## %s\n\n| row | | status | where, or why | tests |\n", title[letter]
                printf "| --- | --- | --- | --- | --- |\n"
                last = letter
            }
            gsub(/\|/, "\\|", text[id])
            printf "| %s | %s | %s | %s | %s |\n", id, text[id], state[id], why[id], tested[id]
        }
        exit bad
    }' docs/parity.def >"$tags.md" || exit 1

if [ "$1" = --write ]; then
    cp "$tags.md" $here
    exit 0
fi
cmp -s "$tags.md" $here || {
    echo "parity: $here is not up to date: sh tests/lint/parity.sh --write"
    diff $here "$tags.md" 2>/dev/null | sed -n '1,10p'
    exit 1
}
