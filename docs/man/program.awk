# program.awk -- the manual page of a program out of its --help, and of those of its commands.
#
#     program.awk -v name=reeve -v section=1 -v date=... -v version=... -v also='...' reeve.help map.help ...
#
# The first file is the program's; each other one becomes a subsection, in the order of the list of
# commands.

function trimmed(text) { sub(/^ +/, "", text); sub(/ +$/, "", text); return text }

# "  -k, --keep-order   text" or "  --bind  ENDPOINT text": a term and what it is.
function option(line,    term, arg, style) {
    style = name == "reeve" ? "tool" : "program"
    sub(/^ +/, "", line)
    if (line == "--help, --version") {
        print ".TP"; print ".BR \\-\\-help \", \" \\-\\-version"; print "What this page tells; the version."
        return
    }
    term = ""
    if (match(line, /^-[A-Za-z], /)) {
        term = "\\fB" escaped(substr(line, 1, 2)) "\\fR, "
        line = substr(line, 5)
    }
    match(line, /^--[a-z-]+/)
    term = term "\\fB" escaped(substr(line, 1, RLENGTH)) "\\fR"
    line = substr(line, RLENGTH + 1)
    # The tool writes "--jobs N  text", the others "--slots   N   text".
    if (match(line, style == "tool" ? "^(\\[=[A-Z]+\\]| [^ ]+)  " : "^ +[^ ]+ ")) {
        arg = substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 1)
        sub(/^ +/, " ", arg); sub(/ +$/, "", arg)
        term = term "\\fI" escaped(arg) "\\fR"
    }
    print ".TP"
    print term
    say(trimmed(line))
}

function usage(line) {
    sub(/^usage: /, "", line)
    print ".nf"; print "\\fB" escaped(line) "\\fR"; print ".fi"
}

# A new paragraph, but not at the beginning of a section.
function apart() { if (!fresh) print ".PP"; fresh = 0 }

FNR == 1 { files++; in_exits = 0; in_commands = 0; was_option = 0; blank = 0; foreign = 0 }
foreign { next }

# ---- the program's own ----

files == 1 && FNR == 1 {
    title(name, section, date, version)
    print ".SH NAME"
    what = $0
    if (what ~ /^usage: /) what = "the tool of reeve: queues, locks and maps that programs on many hosts share"
    else sub(/^[a-z-]+: /, "", what)
    sub(/\. .*/, "", what); sub(/\.$/, "", what)
    print escaped(name) " \\- " escaped(what)
    print ".SH SYNOPSIS"
    first = $0
    if (first ~ /^usage: /) { usage(first); print ".SH DESCRIPTION"; fresh = 1 }
    next
}
files == 1 && /^usage: / { usage($0); print ".SH DESCRIPTION"; sub(/^[a-z-]+: /, "", first); say(toupper(substr(first, 1, 1)) substr(first, 2)); if (more != "") say(more); next }
files == 1 && first !~ /^usage: / && !seen_usage && FNR < 4 && NF && !/^ / { more = more (more == "" ? "" : " ") $0; next }
files == 1 && /^commands:$/ { in_commands = 1; next }
files == 1 && in_commands && /^  [a-z]/ {
    order[++commands] = $1
    line[$1] = trimmed(substr($0, 12))
    next
}
files == 1 && in_commands && /^reeve COMMAND --help/ { in_commands = 0; next }

# ---- a command's ----

files > 1 && FNR == 1 {
    if (files == 2) print ".SH COMMANDS"
    command = FILENAME
    sub(/.*\//, "", command); sub(/\.help$/, "", command)
    print ".SS \"reeve " command "\""
    if ($0 !~ /^usage: reeve /) { # it hands on to another program, which has its own page
        say("To " line[command] ".")
        foreign = 1
        next
    }
    usage($0)
    next
}
# "  get KEY    print the value": a verb, its words and what it does.
files > 1 && /^  [a-z]/ {
    verb = $0
    sub(/^  /, "", verb)
    match(verb, /  +/)
    print ".TP"
    print "\\fB" escaped(substr(verb, 1, RSTART - 1)) "\\fR"
    say(substr(verb, RSTART + RLENGTH))
    was_option = 1
    next
}
/^exit codes:$/ { in_exits = 1; next }
in_exits && /^  [0-9]/ {
    if (files == 1) { codes[++codes_len] = $1; sub(/^ +[0-9]+ +/, ""); meaning[codes_len] = $0 }
    next
}
/^exit: / { in_exit = 1; sub(/^exit: /, ""); exit_text = $0; next }
in_exit && NF { exit_text = exit_text " " $0; next }
/^  +-/ {
    if (!was_option && files == 1 && !had_options) { print ".SH OPTIONS"; had_options = 1 }
    option($0)
    was_option = 1
    next
}
was_option && /^      / { say(trimmed($0)); next }
!NF { blank = 1; next }
{
    if (was_option && files == 1 && !had_notes) { print ".SH NOTES"; had_notes = 1; blank = 0 }
    else if (blank || FNR <= 3) apart()
    blank = 0
    was_option = 0
    fresh = 0
    say($0)
}

END {
    print ".SH EXIT STATUS"
    for (i = 1; i <= codes_len; i++) {
        print ".TP"; print ".B " codes[i]; say(meaning[i])
    }
    # "0 ended as asked, 100 something must be changed first": cut before each number.
    while (exit_text != "") {
        cut = match(exit_text, /[,;] [0-9]+ /)
        part = cut ? substr(exit_text, 1, cut - 1) : exit_text
        exit_text = cut ? substr(exit_text, cut + 2) : ""
        match(part, /^[0-9]+ /)
        print ".TP"; print ".B " substr(part, 1, RLENGTH - 1); say(substr(part, RLENGTH + 1))
    }
    print ".SH ENVIRONMENT"
    say("Each option that stands in a config file can be given there, too: --log-level is")
    say("REEVE_LOG_LEVEL. A flag wins over the environment, that over the file.")
    print ".SH FILES"
    print ".TP"; say("~/.config/reeve/reeve.conf, /etc/reeve/*.conf")
    say("Lines of `word = value`; # begins a comment. $REEVE_CONFIG names another one.")
    print ".TP"; say("~/.config/reeve, /etc/reeve")
    say("Keys, as reeve keygen makes them.")
    print ".SH SEE ALSO"
    n = split(also, parts, " ")
    for (i = 1; i <= n; i++) {
        split(parts[i], words, ".")
        printf ".BR %s (%s)%s\n", escaped(words[1]), words[2], i < n ? " ," : ""
    }
}
