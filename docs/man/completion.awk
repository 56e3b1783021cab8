# completion.awk -- the words of bash's completion out of the same --help texts as the manual pages:
# one `case` for the options of each command and of each program, one for the values of an option.
#
# Files are named as what they are of: reeve, reeve-server, or a command of reeve.

function base(path) { sub(/.*\//, "", path); sub(/\.help$/, "", path); return path }

FNR == 1 { of = base(FILENAME); order[++files] = of }
of == "reeve" && /^commands:$/ { in_commands = 1; next }
of == "reeve" && in_commands && /^  [a-z]/ { commands = commands (commands == "" ? "" : " ") $1; next }
# "  keys, items   print them": verbs, which stand behind a name.
of != "reeve" && /^  [a-z]/ {
    line = $0
    sub(/^  /, "", line); sub(/  .*/, "", line)
    n = split(line, parts, ", ")
    for (i = 1; i <= n; i++) { sub(/ .*/, "", parts[i]); verbs[of] = verbs[of] " " parts[i] }
    next
}
/^  +(-[A-Za-z], )?--/ {
    line = $0
    sub(/^ +/, "", line)
    if (match(line, /^-[A-Za-z], /)) { letter = substr(line, 1, 2); line = substr(line, 5); words[of] = words[of] " " letter }
    else letter = ""
    if (line == "--help, --version") { words[of] = words[of] " --help --version"; next }
    match(line, /^--[a-z-]+/)
    option = substr(line, 1, RLENGTH)
    line = substr(line, RLENGTH + 1)
    words[of] = words[of] " " option
    # The tool writes "--jobs N  text", the others "--slots   N   text".
    if (!match(line, $0 ~ /^  --/ ? "^ +[^ ]+ " : "^ [^ ]+  ")) next
    value = substr(line, 1, RLENGTH)
    text = substr(line, RLENGTH + 1)
    gsub(/ /, "", value)
    key = option (letter == "" ? "" : "|" letter)
    if (!(key in kind)) { keys[++keys_len] = key; kind[key] = value; about[key] = text }
    next
}

END {
    print "# bash completion of reeve, reeve-server and reeve-worker. Made from what --help says."
    print ""
    print "_reeve_values() {"
    print "    case $1 in"
    for (i = 1; i <= keys_len; i++) {
        key = keys[i]; value = kind[key]; choice = ""
        if (value == "DIR") choice = "-d"
        else if (value ~ /FILE/) choice = "-f"
        else if (value == "LEVEL") choice = "-W 'error warn info debug'"
        else if (value == "ROLE") choice = "-W 'client worker admin'"
        else if (value == "WHAT") choice = "-W 'verify stat dump backup restore'"
        else if (value == "truncate") choice = "-W truncate"
        else if (value ~ /^[a-z]+([|][a-z]+)+$/) { gsub(/[|]/, " ", value); choice = "-W '" value "'" }
        else if (value ~ /ENDPOINT|URL/) choice = "-W 'tcp:// ipc://'"
        printf "    %s) %s ;;\n", key, choice == "" ? "COMPREPLY=()" : "mapfile -t COMPREPLY < <(compgen " choice " -- \"$2\")"
    }
    print "    *) return 1 ;;"
    print "    esac"
    print "}"
    print ""
    print "_reeve_options() {"
    print "    case $1 in"
    for (i = 1; i <= files; i++)
        if (order[i] != "reeve")
            printf "    %s) echo '%s' ;;\n", order[i], substr(words[order[i]], 2)
    print "    *) echo '--help --version' ;;"
    print "    esac"
    print "}"
    print ""
    print "_reeve_verbs() {"
    print "    case $1 in"
    for (i = 1; i <= files; i++)
        if (order[i] in verbs)
            printf "    %s) compgen -W '%s' -- \"$2\" ;;\n", order[i], substr(verbs[order[i]], 2)
    print "    esac"
    print "}"
    print ""
    printf "_reeve_commands='%s'\n", commands
    while ((getline line <rest) > 0) print line
}
