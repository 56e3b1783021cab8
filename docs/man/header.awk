# header.awk -- a manual page out of a public header: its first comment, and each declaration with
# the comment before it.
#
#     header.awk -v name=reeve_lock -v header=reeve/lock.h -v date=... -v version=... lock.h

function flush_text(    i, code, start) {
    for (i = 1; i <= text_len; i++) {
        if (text[i] ~ /^(    |\t)/) {
            if (!code) { print ".PP"; print ".nf"; print ".RS 4" }
            code = 1
            say(substr(text[i], 5))
        } else if (text[i] == "") {
            start = 1
            if (code && text[i + 1] ~ /^    /) print ""
        } else {
            if (code) { print ".RE"; print ".fi"; code = 0; start = 1 }
            if (start) print ".PP"
            start = 0
            say(text[i])
        }
        if (code && text[i] == "" && text[i + 1] !~ /^    /) { print ".RE"; print ".fi"; code = 0 }
    }
    if (code) { print ".RE"; print ".fi" }
    text_len = 0
}

function comment_line(line) {
    sub(/^ *\/\* ?/, "", line)
    if (line ~ /\*\/ *$/) { sub(/ *\*\/ *$/, "", line); in_comment = 0 }
    sub(/^ \* ?/, "", line)
    sub(/^ \*$/, "", line)
    if (line == "" && text_len == 0) return
    text[++text_len] = line
}

function flush_code(    i, names, n, list, head) {
    head = ""
    for (i = 1; i <= code_len; i++) {
        if (code[i] ~ /REEVE_API/ || (head ~ /^$/ && code[i] ~ /reeve_[a-z_0-9]+\(/)) {
            list = code[i]
            if (list !~ /\(/) list = list code[i + 1]
            if (match(list, /reeve_[a-z_0-9]+\(/)) {
                n = substr(list, RSTART, RLENGTH - 1)
                if (!(n in known)) {
                    known[n] = 1
                    head = head (head == "" ? "" : ", ") n
                    functions[++functions_len] = n
                }
            }
        }
    }
    if (head == "") {
        if (code[1] ~ /^typedef struct.*;/ && code_len > 1) head = "Types"
        else if (code[1] ~ /^#define/) { head = code[1]; sub(/^#define /, "", head); sub(/[( ].*/, "", head) }
        else if (match(code[code_len], /reeve_[a-z_0-9]+;/)) head = substr(code[code_len], RSTART, RLENGTH - 1)
        else if (match(code[1], /reeve_[a-z_0-9]+/)) head = substr(code[1], RSTART, RLENGTH)
        else head = "Declarations"
    }
    print ".SS \"" escaped(head) "\""
    print ".nf"
    for (i = 1; i <= code_len; i++) {
        line = code[i]
        gsub(/REEVE_API |REEVE_NODISCARD /, "", line)
        sub(/ *\\$/, "", line)
        say(line)
    }
    print ".fi"
    if (text_len > 0) { print ".PP"; flush_text() }
    code_len = 0
}

BEGIN { what = "" }

FNR == 1 { title(name, 3, date, version) }

# The first comment.
!described && !in_comment && /^\/\*/ { in_comment = 1 }
!described && in_comment {
    comment_line($0)
    if (!in_comment) {
        described = 1
        # "lock.h -- what it is.", perhaps with more behind.
        what = text[1]
        sub(/^[a-z_]+\.h -- /, "", what)
        rest = what
        sub(/[.:;,] .*$/, "", what); sub(/\.$/, "", what)
        print ".SH NAME"
        print escaped(name) " \\- " escaped(what)
        print ".SH SYNOPSIS"
        print ".nf"; print ".B #include <" escaped(header) ">"; print ".fi"
        print ".SH DESCRIPTION"
        text[1] = toupper(substr(rest, 1, 1)) substr(rest, 2)
        flush_text()
        print ".SH DECLARATIONS"
    }
    next
}
!described { next }

# A comment in the first column belongs to what comes next.
!in_code && /^\/\*/ { text_len = 0; in_comment = 1 }
in_comment { comment_line($0); next }

/^#(ifndef|ifdef|endif|include|undef|else|if)/ { next }
/^extern "C"/ || /^}$/ && !in_code { next }
/^#define (REEVE_[A-Z]+_H|REEVE_API|REEVE_NODISCARD|REEVE_ERROR_ENUM)/ { next }
/^$/ { if (!in_code && code_len > 0) flush_code(); if (!in_code) { text_len = 0; next } }
{
    code[++code_len] = $0
    bare = $0
    gsub(/\/\*.*\*\//, "", bare)
    if (bare ~ /\\$/) { in_code = 1; next }
    depth += gsub(/{/, "{", bare) - gsub(/}/, "}", bare)
    in_code = depth > 0 || (bare !~ /;[ \t]*$/ && bare !~ /^#define/ && bare !~ /^ *X\(/ && bare !~ /\*\/ *$/ && bare !~ /^ +\*/)
    if (bare ~ /^ *X\(/) in_code = 0
    next
}

END {
    if (code_len > 0) flush_code()
    print ".SH SEE ALSO"
    print ".BR libreeve (3)"
    if (names_to != "")
        for (i = 1; i <= functions_len; i++) print functions[i], name >names_to
}
