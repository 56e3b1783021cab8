# roff.awk -- what the makers of manual pages share: text that roff takes as it is.

# The letters of a text as roff writes them.
function escaped(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/~/, "\\(ti", text)
    gsub(/\^/, "\\(ha", text)
    gsub(/`/, "\\(ga", text)
    gsub(/"/, "\\(dq", text)
    return text
}

# A line that is no request, whatever it begins with.
function say(text) {
    text = escaped(text)
    if (text ~ /^[.']/) text = "\\&" text
    print text
}

function title(name, section, date, version) {
    printf ".TH %s %s %s \"reeve %s\" \"reeve\"\n", toupper(name), section, date, version
}
