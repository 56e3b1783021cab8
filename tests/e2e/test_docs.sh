#!/bin/sh
# docs/getting-started.md does what it says: its programs are built, its commands run, one after
# the other in one folder, and print what stands below them. "..." stands for anything.
. tests/e2e/lib.sh

for tool in python3 pkg-config cc; do
    command -v $tool >/dev/null || {
        echo "skipped: $tool is not installed"
        exit 77
    }
done

if nm -D "$BUILD/libreeve.so" | grep -qE '__(asan|tsan)_init'; then
    echo "skipped: programs without a sanitizer can't use a library with one"
    exit 77
fi

root=$PWD
mkdir "$tmp/here" "$tmp/pc"
cat >"$tmp/pc/reeve.pc" <<END
Name: reeve
Description: the library as it was built
Version: 0
Libs: -L$BUILD -lreeve -Wl,-rpath,$BUILD
Cflags: -I$root/include -std=c11 -Wall -Wextra -Werror
END

cat >"$tmp/extract.py" <<'END'
# extract.py PAGE FOLDER: write FOLDER/*.c, and FOLDER/commands, one a line, each with a tab and
# the number of its expected output, FOLDER/want.N.
import re, sys
page, folder = open(sys.argv[1]).read(), sys.argv[2]
commands = open(f"{folder}/commands", "w")
count = 0
for info, block in re.findall(r"^```([^\n]*)\n(.*?)^```$", page, re.M | re.S):
    name = re.match(r"/\* (\w+\.c) ", block)
    if info == "c":
        assert name, f"a C block without the name of its file: {block[:60]!r}"
        open(f"{folder}/{name[1]}", "w").write(block)
    if info == "console run":
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            count += 1
            commands.write(f"{count}\t{command}\n")
            open(f"{folder}/want.{count}", "w").write(output)
END
cat >"$tmp/like.py" <<'END'
import re, sys
want, got = (open(name).read().strip("\n") for name in sys.argv[1:])
pattern = ".+".join(re.escape(part) for part in want.split("..."))
sys.exit(0 if re.fullmatch(pattern, got) else f"wanted:\n{want}\ngot:\n{got}")
END

check 'the page has its blocks' python3 "$tmp/extract.py" docs/getting-started.md "$tmp/here"
check 'it has two programs' test -f "$tmp/here/producer.c" -a -f "$tmp/here/consumer.c"

# A port of our own, from where connections take none.
port=$(python3 -c '
import random, socket
while True:
    try:
        s = socket.create_server(("127.0.0.1", random.randrange(10000, 30000)))
        break
    except OSError:
        pass
print(s.getsockname()[1])')
PKG_CONFIG_PATH=$tmp/pc
PATH=$BUILD:$PATH
export PKG_CONFIG_PATH PATH
unset -f reeve 2>/dev/null

cd "$tmp/here" || exit 1
while IFS="$(printf '\t')" read -r number command; do
    text=$(echo "$command" | sed "s/127\.0\.0\.1:7300/127.0.0.1:$port/g")
    case $text in
    *'&')
        eval "$text" # in the background of this shell, which stops it
        running="$running $!"
        last=$!
        case $text in reeve-server*) REEVE_KEY=client/alice.key REEVE_URL=tcp://127.0.0.1:$port ;; esac
        tries=0
        until REEVE_URL=${REEVE_URL:-} reeve status ${REEVE_URL:+--url "$REEVE_URL"} \
            ${REEVE_KEY:+--key "$REEVE_KEY"} >/dev/null 2>&1 || [ $tries -ge 100 ]; do
            tries=$((tries + 1))
            sleep 0.1
        done
        ;;
    *)
        eval "$text" >got 2>&1 </dev/null
        sed -i "s/127\.0\.0\.1:$port/127.0.0.1:7300/g" got
        check "$ $command" python3 "$tmp/like.py" "want.$number" got
        ;;
    esac
done <commands
cd "$root" || exit 1
check 'the last manager still runs' kill -0 "$last"

finish
