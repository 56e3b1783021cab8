#ifndef CLI_H
#define CLI_H

/*
 * cli.h -- the tool `reeve`: its commands and options, each written once.
 *
 * From the lists below come the parser, `reeve --help`, `reeve COMMAND --help`, the struct that
 * the commands read, and the table of exit codes. To add a command: a row here, and a function
 * run_NAME in a file of its own.
 */

#include <reeve.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- exit codes: EXIT(name, code, meaning) ---- */
#define CLI_EXITS(X)                                                                               \
    X(DONE, 0, "done")                                                                             \
    X(NOTHING, 1, "nothing there: the queue is empty, the name, key or index unknown; or no")      \
    X(USAGE, 2, "the command line is wrong")                                                       \
    X(FAILED, 3, "some commands of a map failed; it says how many, and which was the first")       \
    X(CHANGE, 100, "something must be changed first: a key, rights, options, the url, the item")   \
    X(AGAIN, 111, "trying again may help: not reachable, no answer in time, queue full")           \
    X(SIGNAL, 128, "plus the number of the signal that ended it: 130 is Ctrl-C")

#define CLI_EXIT_ENUM(name, code, meaning) EXIT_##name = (code),
enum cli_exit { CLI_EXITS(CLI_EXIT_ENUM) };
#undef CLI_EXIT_ENUM

/* What the commands of containers say of their words. */
#define CLI_WORDS_HELP                                                                             \
    "\nKeys and values are JSON if they read as JSON, else texts: 7 is a number, seven is a "      \
    "text,\n"                                                                                      \
    "'\"7\"' is one, too. With --text they are texts in any case; with --json values must be "     \
    "JSON,\n"                                                                                      \
    "which is an error else, and are printed as JSON. Without it texts are printed as they are,\n" \
    "other values as JSON. What begins with - and is no number stands behind --.\n"                \
    "With --follow a verb that reads prints again after each change, until Ctrl-C, which ends "    \
    "it\n"                                                                                         \
    "with 0; changes in quick succession may show as one, and a key or an index that is not "      \
    "there\n"                                                                                      \
    "is waited for. --timeout is how long without a change; default: for ever.\n"

/* ---- commands: COMMAND(name, words, fewest words, most words, one line, more) ---- */
#define CLI_COMMANDS(X)                                                                            \
    X(keygen, "NAME", 1, 1, "make a key, or make a key trust a manager",                           \
      "NAME manager (or --server) makes DIR/manager.key, DIR/manager.pub and DIR/authorized.d/.\n" \
      "Any other NAME makes DIR/NAME.key, which is secret and stays where it is, and\n"            \
      "DIR/NAME.pub, which goes into authorized.d/ of the manager. With --trust, and a key of\n"   \
      "that name there already, no key is made: the manager is added to those it trusts.\n"        \
      "With --authkey one secret for all sides is made: DIR/NAME.key goes to every host, and is\n" \
      "both the --authkey of reeve-server and the --key of everybody else. Who has it may do\n"    \
      "everything, and can pass for the manager.\n"                                                \
      "Nothing is ever overwritten.\n")                                                            \
    X(serve, "[ARGUMENT]...", 0, CLI_MANY, "run a manager: reeve-server with these arguments",     \
      "The program is looked for in $REEVE_BINDIR, beside this tool, and in $PATH.\n"              \
      "See reeve-server --help.\n")                                                                \
    X(log, "verify|stat|dump DIR", 2, 2, "look at the log of a manager, in its folder",            \
      "verify reads and replays all of it, and compares its snapshots; stat shows what is in "     \
      "it;\n"                                                                                      \
      "dump prints a line for each command behind the last snapshot. Nothing is changed, and "     \
      "the\n"                                                                                      \
      "manager may be running. A damaged log ends with exit code 100, file and offset; what is\n"  \
      "before the damage is kept by reeve-server --data DIR --repair truncate.\n")                 \
    X(backup, "DIR TO", 2, 2, "copy the log in DIR, also of a running manager, into an empty TO",  \
      "TO is made, or is empty. It holds what the manager has acknowledged up to now, as one\n"    \
      "snapshot that was made by a replay. It can be looked at by reeve log, and brought back\n"   \
      "by reeve restore.\n")                                                                       \
    X(restore, "FROM DIR", 2, 2, "make a log in an empty DIR out of a backup",                     \
      "The manager that is started with it is another store: handles of clients that knew the\n"   \
      "old one are void, because time has gone back for it.\n")                                    \
    X(status, "", 0, 0, "show how the manager is, and who is connected",                           \
      "With --json: {\"manager\": {...}, \"sessions\": [...], \"agents\": [...]}.\n"               \
      "With --health one line, and exit code 0 when the manager's core has answered.\n")           \
    X(metrics, "", 0, 0, "print how the manager is for Prometheus, or serve that",                 \
      "Once, or with --listen at http://ADDRESS:PORT/metrics, until Ctrl-C: to everybody who "     \
      "can\n"                                                                                      \
      "reach that address, without a key and in the clear. The key needs the right `list` for\n"   \
      "queues, agents and jobs.\n")                                                                \
    X(ls, "[PREFIX]", 0, 1, "list the objects whose names begin with PREFIX",                      \
      "With --json: an array of one map for each object.\n")                                       \
    X(show, "OBJECT", 1, 1, "show what an object is, who is at it, and what is in it",             \
      "Of any type: its options, how much it holds, and who holds it or waits for it. Of a "       \
      "dict,\n"                                                                                    \
      "list, set, Value, Array or Namespace also the first 100 values, long ones cut, or with\n"   \
      "--all all of it. What is in a queue shows only to who takes it out.\n"                      \
      "With --json: one map, with `who` and `contents` in it.\n")                                  \
    X(put, "QUEUE [ITEM]...", 1, CLI_MANY, "put items into a queue",                               \
      "Without ITEM each line of standard input is an item. Items are texts, unless --json or\n"   \
      "--bytes is given. A queue that is missing is made; without --maxsize and --joinable an\n"   \
      "existing one is used whatever its options are. --timeout is how long to wait for room\n"    \
      "in a full queue; default: for ever. Ctrl-C ends the reading: what was read is put.\n")      \
    X(map, "[COMMAND [WORD]...] [::: LINE...]", 0, CLI_MANY,                                       \
      "run a command for each line, on all agents",                                                \
      "Lines come from standard input, or stand behind :::. In the words of the command {} is\n"   \
      "the line, {.} the line without its extension, {/} its last part, {//} its folder and {#}\n" \
      "its number; without any of them the line becomes the last word. The words are run as\n"     \
      "they are; a command of one word with a blank or shell character in it is given to sh -c,\n" \
      "with lines quoted. Without a command each line is one, for sh -c. Options of the command\n" \
      "stand behind --. What a command prints comes whole, when it has ended. A command runs\n"    \
      "in this folder (--folder), as the agent's user. One that ends its agent's process or\n"     \
      "loses its host runs again; one that fails does so with --retries. Ctrl-C ends all of "      \
      "it.\n"                                                                                      \
      "With --detach it prints a name when all lines are given, and ends; the manager goes on,\n"  \
      "and keeps the outputs for 7 days. reeve attach NAME shows them, reeve cancel NAME ends\n"   \
      "it, reeve rm NAME forgets it.\n")                                                           \
    X(attach, "NAME", 1, 1, "show what a map that was begun with --detach prints",                 \
      "From its beginning, until all of it is done; then the exit code tells as that of reeve\n"   \
      "map. Ctrl-C ends the showing and not the map. It can be shown again, and by several at\n"   \
      "once. Of a pool with a name, which is no map of commands, it prints the values as JSON.\n") \
    X(run, "COMMAND [WORD]...", 1, CLI_MANY, "run one command on some host, or on --host NAME",    \
      "What it prints comes when it has ended, and its exit code is this one's. Options of the\n"  \
      "command stand behind --. Its standard input is empty.\n")                                   \
    X(worker, "[ARGUMENT]...", 0, CLI_MANY, "run an agent: reeve-worker with these arguments",     \
      "The program is looked for in $REEVE_BINDIR, beside this tool, and in $PATH.\n"              \
      "See reeve-worker --help.\n")                                                                \
    X(jobs, "", 0, 0, "list the jobs of the manager",                                              \
      "Done of total (or of those that came so far), failed, tried again, agents.\n")              \
    X(cancel, "JOB...", 1, CLI_MANY, "end jobs, on all hosts",                                     \
      "JOB is a number that reeve jobs shows, or a name.\n")                                       \
    X(logs, "JOB", 1, 1, "show what items of a job printed, and how they failed",                  \
      "The last ones that the manager has kept. Items count from 0: that of line 1 is item 0.\n")  \
    X(get, "QUEUE", 1, 1, "take items from a queue and print them",                                \
      "One item a line: texts as they are, other values as JSON. Without --follow it takes what\n" \
      "is there, and waits up to --timeout for the first item; default: does not wait. With\n"     \
      "--follow, or with --timeout, a queue that is missing is made. With both it ends when no\n"  \
      "item has come for so long. An item of a joinable\n"                                         \
      "queue is done when its line has been written; before that it goes back when this\n"         \
      "command ends, however it ends. Ctrl-C ends it at once and loses nothing.\n")                \
    X(dict, "NAME [VERB [WORD]...]", 1, CLI_MANY, "read and change a shared dict",                 \
      "Without a verb all of it is printed, as a JSON object. Verbs that change it make one "      \
      "that\n"                                                                                     \
      "is missing.\n"                                                                              \
      "  get KEY               print the value of the key\n"                                       \
      "  set KEY VALUE         and whatever it was before is gone\n"                               \
      "  setdefault KEY VALUE  set it if it is not there; print what is there then\n"              \
      "  add KEY N             add a number, which may be negative; print the sum\n"               \
      "  cas KEY OLD NEW       set it if it is OLD; else print what it is, and exit with 1\n"      \
      "  append-at KEY VALUE   at the end of the array that its value is, or has at --at\n"        \
      "  del KEY...            each must be there; those before one that is not are deleted\n"     \
      "  pop KEY               delete it, and print what it was\n"                                 \
      "  popitem               delete the pair that came last, and print it\n"                     \
      "  has KEY               print true, or print false and exit with 1\n"                       \
      "  keys, values, items   print them, one a line; of items key, tab, value\n"                 \
      "  len                   print how many there are\n"                                         \
      "  update MAP...         set all pairs of JSON objects\n"                                    \
      "  clear                 delete all\n"                                                       \
      "  dump                  print all, as `load` wants it: it keeps keys that are no texts\n"   \
      "  load                  set all pairs of a JSON object on standard input\n" CLI_WORDS_HELP) \
    X(list, "NAME [VERB [WORD]...]", 1, CLI_MANY, "read and change a shared list",                 \
      "Without a verb all of it is printed, as a JSON array. Verbs that change it make one that\n" \
      "is missing. Indexes and slices are Python's: -1 is the last, ::2 every second.\n"           \
      "  get I                 print the value at index I\n"                                       \
      "  set I VALUE           replace it\n"                                                       \
      "  append [VALUE]...     at the end; without VALUE each line of standard input is one\n"     \
      "  append-at I VALUE     at the end of the array that is at I, or there at --at\n"           \
      "  insert I VALUE        before what is at I\n"                                              \
      "  pop [I]               delete what is at I, else the last, and print it\n"                 \
      "  del I|A:B[:C]         delete it, or a slice\n"                                            \
      "  add I N               add a number, which may be negative; print the sum\n"               \
      "  cas I OLD NEW         set it if it is OLD; else print what it is, and exit with 1\n"      \
      "  slice A:B[:C]         print these values, one a line\n"                                   \
      "  index VALUE           print the index of the first that equals it\n"                      \
      "  count VALUE           print how many equal it\n"                                          \
      "  remove VALUE          delete the first that equals it\n"                                  \
      "  sort, reverse         in place; with --reverse sort begins with the greatest\n"           \
      "  len                   print how many there are\n"                                         \
      "  clear                 delete all\n"                                                       \
      "  dump                  print all, as `load` wants it\n"                                    \
      "  load                  append all values of a JSON array on standard "                     \
      "input\n" CLI_WORDS_HELP)                                                                    \
    X(set, "NAME [VERB [WORD]...]", 1, CLI_MANY, "read and change a shared set",                   \
      "Without a verb all of it is printed, as a JSON array. Verbs that change it make one that\n" \
      "is missing.\n"                                                                              \
      "  add [VALUE]...        print those that were not in it; without VALUE each line of "       \
      "standard\n"                                                                                 \
      "                        input is one\n"                                                     \
      "  remove VALUE...       each must be there; those before one that is not are removed\n"     \
      "  discard VALUE...      remove it, if it is there\n"                                        \
      "  has VALUE             print true, or print false and exit with 1\n"                       \
      "  pop                   remove the one that came last, and print it\n"                      \
      "  members               print them, one a line\n"                                           \
      "  len                   print how many there are\n"                                         \
      "  clear                 remove all\n"                                                       \
      "  dump                  print all, as `load` wants it\n"                                    \
      "  load                  add all values of a JSON array on standard input\n" CLI_WORDS_HELP) \
    X(value, "NAME [VERB [WORD]...]", 1, CLI_MANY, "read and change a shared Value",               \
      "Without a verb it is as get. Verbs that change it make one that is missing; it takes\n"     \
      "anything, unless --typecode says else: a letter of Python's array module, as q (integers\n" \
      "of 64 bits) or d (floats).\n"                                                               \
      "  get                   print it\n"                                                         \
      "  set VALUE             replace it\n"                                                       \
      "  add N                 add a number, which may be negative; print the sum. One that it "   \
      "makes\n"                                                                                    \
      "                        holds integers, or floats if N is one\n"                            \
      "  cas OLD NEW       set it if it is OLD; else print what it is, and exit with "             \
      "1\n" CLI_WORDS_HELP)                                                                        \
    X(array, "NAME [VERB [WORD]...]", 1, CLI_MANY, "read and change a shared Array",               \
      "Without a verb all of it is printed, as a JSON array. One is made by --typecode and\n"      \
      "--length, with zeros; both stay as they are. Indexes and slices are Python's.\n"            \
      "  get I                 print the value at index I\n"                                       \
      "  set I VALUE           replace it\n"                                                       \
      "  add I N               add a number, which may be negative; print the sum\n"               \
      "  cas I OLD NEW         set it if it is OLD; else print what it is, and exit with 1\n"      \
      "  slice A:B[:C]         print these values, one a line\n"                                   \
      "  len                   print how many there are\n"                                         \
      "  dump                  print all, as `load` wants it\n"                                    \
      "  load                  set the first values to those of a JSON array on standard "         \
      "input\n" CLI_WORDS_HELP)                                                                    \
    X(namespace, "NAME [VERB [WORD]...]", 1, CLI_MANY, "read and change a shared Namespace",       \
      "Without a verb all of it is printed, as a JSON object. Verbs that change it make one "      \
      "that\n"                                                                                     \
      "is missing. The names of its attributes are texts.\n"                                       \
      "  get ATTRIBUTE         print its value\n"                                                  \
      "  set ATTRIBUTE VALUE   and whatever it was before is gone\n"                               \
      "  add ATTRIBUTE N       add an integer, which may be negative; print the sum\n"             \
      "  del ATTRIBUTE...      each must be there; those before one that is not are deleted\n"     \
      "  names, items          print them, one a line; of items name, tab, value\n"                \
      "  dump                  print all, as `load` wants it\n"                                    \
      "  load                  set all pairs of a JSON object on standard input\n" CLI_WORDS_HELP) \
    X(dead, "ls|show|requeue QUEUE [NUMBER]...", 2, CLI_MANY,                                      \
      "look at the dead letters of a queue, or send them back",                                    \
      "Items of a joinable queue that its --deliveries did not finish. ls lists them; show "       \
      "tells\n"                                                                                    \
      "who had the one of that NUMBER, when, and how that ended; requeue sends those of the "      \
      "NUMBERs\n"                                                                                  \
      "back to their queue, as new, without any all. QUEUE is the queue that they come from, or\n" \
      "the one where they are, from which reeve get takes them for good.\n")                       \
    X(lock, "NAME -- COMMAND [ARGUMENT]...", 2, CLI_MANY, "run a command while a lock is held",    \
      "One at a time in the whole cluster. Waits for the lock, up to --timeout; default: for\n"    \
      "ever. The exit code is that of the command. $REEVE_FENCE is the fence of the lock, and\n"   \
      "$REEVE_ABANDONED is 1 when its last owner died while it held it, which is told, too.\n"     \
      "When the session with the manager is lost, or somebody removes the lock, the command "      \
      "gets\n"                                                                                     \
      "SIGTERM, 10 s later SIGKILL.\n")                                                            \
    X(sem, "NAME N -- COMMAND [ARGUMENT]...", 3, CLI_MANY, "run a command with one of N permits",  \
      "At most N at a time in the whole cluster; else as reeve lock.\n")                           \
    X(barrier, "NAME N", 2, 2, "wait until N have come",                                           \
      "Prints which one this was, from 0 to N - 1. Who gives up, by --timeout or Ctrl-C, breaks\n" \
      "the barrier for all; --reset makes it as new. Without --timeout it waits for ever.\n")      \
    X(event, "wait|set|clear NAME", 2, 2, "wait for an event, set it or clear it",                 \
      "An event that is set lets everybody go on until it is cleared. Without --timeout the\n"     \
      "wait is for ever.\n")                                                                       \
    X(why, "NAME|SESSION", 1, 1, "show who holds an object, who waits for it, and cycles of such", \
      "Of a session, what it holds and what it waits for; reeve status has their numbers.\n"       \
      "With --json: an array of one map for each.\n")                                              \
    X(rm, "NAME...", 1, CLI_MANY, "remove objects, whoever uses them",                             \
      "Calls that wait there end with an error, and the items are gone.\n")                        \
    X(shutdown, "", 0, 0, "end the manager, or shut down a queue",                                 \
      "Without --queue the manager ends, which needs a key with the role admin. A queue that is\n" \
      "shut down refuses puts and lets gets drain it; with --immediate its items are dropped.\n")

#define CLI_COMMAND_ENUM(name, words, fewest, most, line, more) CLI_##name,
enum cli_command { CLI_COMMANDS(CLI_COMMAND_ENUM) CLI_COMMANDS_LEN };
#undef CLI_COMMAND_ENUM

enum { CLI_MANY = 0x7fffffff, CLI_TEXTS_MAX = 16 };

#define CLI_ON(command) (UINT64_C(1) << CLI_##command)
#define CLI_EVERYWHERE  ((UINT64_C(1) << CLI_COMMANDS_LEN) - 1)
#define CLI_CONTAINERS                                                                             \
    (CLI_ON(dict) | CLI_ON(list) | CLI_ON(set) | CLI_ON(value) | CLI_ON(array) | CLI_ON(namespace))
#define CLI_CONNECTED                                                                              \
    (CLI_EVERYWHERE & ~(CLI_ON(keygen) | CLI_ON(serve) | CLI_ON(worker) | CLI_ON(log) |            \
                        CLI_ON(backup) | CLI_ON(restore)))

/*
 * ---- options: OPTION(KIND, field, name, letter, value, commands, help) ----
 *
 * KIND: FLAG bool, TEXT const char *, TEXTS some of them, COUNT uint32_t, TIME milliseconds, MAYBE a
 * text behind = or none. The values of COUNT, TIME and MAYBE are written as `given` says: false when
 * the option was not there.
 */
#define CLI_OPTIONS(X)                                                                             \
    X(TEXT, dir, "dir", 0, "DIR", CLI_ON(keygen),                                                  \
      "folder of the keys; default: ~/.config/reeve, for a manager run by root /etc/reeve")        \
    X(FLAG, server, "server", 0, NULL, CLI_ON(keygen), "NAME is a manager's")                      \
    X(FLAG, authkey, "authkey", 0, NULL, CLI_ON(keygen), "make one secret for all sides")          \
    X(FLAG, passphrase, "passphrase", 0, NULL, CLI_ON(keygen),                                     \
      "make it from a line of the standard input of 12 bytes or more: the same on each host")      \
    X(TEXT, role, "role", 0, "ROLE", CLI_ON(keygen), "client (the default), worker or admin")      \
    X(TEXTS, rights, "rights", 0, "TEXT", CLI_ON(keygen),                                          \
      "what the key may do, as put,get:jobs/*; can be given 16 times; default: all objects")       \
    X(TEXTS, quota, "quota", 0, "TEXT", CLI_ON(keygen),                                            \
      "how much the key may have at once, as objects:100, bytes:1G, in-flight:64M, sessions:10, "  \
      "waiters:500; or calls:1000 a second; can be given 8 times; default: no quota")              \
    X(TEXT, trust, "trust", 0, "FILE|KEY", CLI_ON(keygen),                                         \
      "the manager that this key trusts: its manager.pub, or the key in it")                       \
    X(COUNT, maxsize, "maxsize", 0, "N", CLI_ON(put), "the queue holds at most N items")           \
    X(FLAG, joinable, "joinable", 0, NULL, CLI_ON(put) | CLI_ON(get),                              \
      "the queue is joinable: each item must be said to be done")                                  \
    X(COUNT, deliveries, "deliveries", 0, "N", CLI_ON(put) | CLI_ON(get),                          \
      "an item that N deliveries did not finish goes to QUEUE.dead; needs --joinable")             \
    X(TIME, retry, "retry", 0, "S", CLI_ON(put) | CLI_ON(get),                                     \
      "pause before an item that came back is delivered again, twice as long each time")           \
    X(TEXT, durable, "durable", 0, "none|os|sync",                                                 \
      CLI_ON(put) | CLI_ON(get) | CLI_ON(map) | CLI_CONTAINERS,                                    \
      "what it survives of a manager with --data: nothing, the manager's end, or the loss of "     \
      "power, "                                                                                    \
      "too; default: sync")                                                                        \
    X(TIME, ttl, "ttl", 0, "S", CLI_CONTAINERS,                                                    \
      "one that is made goes when nobody has had it open for so long; default: never")             \
    X(TEXT, max_bytes, "max-bytes", 0, "N", CLI_CONTAINERS,                                        \
      "what is made takes so much at most, as 4096, 64K, 10M or 1G")                               \
    X(TEXT, at, "at", 0, "PLACE", CLI_ON(dict) | CLI_ON(list),                                     \
      "get, set, add, del and append-at go to this place inside the value: a JSON array of keys "  \
      "and indexes, as [\"hosts\", 0], or one alone")                                              \
    X(FLAG, create, "create", 0, NULL, CLI_CONTAINERS,                                             \
      "make it if it is missing, to read it, too")                                                 \
    X(TEXT, typecode, "typecode", 0, "C", CLI_ON(value) | CLI_ON(array),                           \
      "of what is made: one of bBhHiIlLqQfd?cuw")                                                  \
    X(COUNT, length, "length", 0, "N", CLI_ON(array), "of what is made")                           \
    X(FLAG, text, "text", 0, NULL, CLI_CONTAINERS, "keys and values are texts, as they are given") \
    X(FLAG, reverse, "reverse", 0, NULL, CLI_ON(list), "of sort: from the greatest to the least")  \
    X(COUNT, count, "count", 'n', "N", CLI_ON(get) | CLI_CONTAINERS,                               \
      "take at most N items; with --follow of a container, print N times")                         \
    X(FLAG, follow, "follow", 'f', NULL, CLI_ON(get) | CLI_CONTAINERS,                             \
      "go on until the queue is shut down; print a container after each change")                   \
    X(FLAG, bytes, "bytes", 0, NULL, CLI_ON(put) | CLI_ON(get),                                    \
      "items are bytes, put and printed as they are")                                              \
    X(MAYBE, detach, "detach", 0, "[=NAME]", CLI_ON(map),                                          \
      "leave it to the manager, under this name; default: one is made")                            \
    X(FLAG, keep_order, "keep-order", 'k', NULL, CLI_ON(map) | CLI_ON(attach),                     \
      "print in the order of the lines")                                                           \
    X(COUNT, jobs, "jobs", 'j', "N", CLI_ON(map), "at most N commands at a time, on all hosts")    \
    X(COUNT, retries, "retries", 0, "N", CLI_ON(map), "try a command that fails N times more")     \
    X(TEXT, joblog, "joblog", 0, "FILE", CLI_ON(map) | CLI_ON(attach),                             \
      "write a line for each command there")                                                       \
    X(FLAG, resume, "resume", 0, NULL, CLI_ON(map) | CLI_ON(attach),                               \
      "only what has not gone well by the joblog")                                                 \
    X(FLAG, tag, "tag", 0, NULL, CLI_ON(map) | CLI_ON(attach),                                     \
      "print each line of output behind its input")                                                \
    X(FLAG, bar, "bar", 0, NULL, CLI_ON(map) | CLI_ON(attach), "show progress, on a terminal")     \
    X(TEXT, label, "label", 0, "WORDS", CLI_ON(map), "only on agents with these labels")           \
    X(TEXT, folder, "folder", 0, "DIR", CLI_ON(map) | CLI_ON(run), "where to run; default: here")  \
    X(TEXT, host, "host", 0, "NAME", CLI_ON(run), "the agent of this name, or with this label")    \
    X(FLAG, health, "health", 0, NULL, CLI_ON(status), "only whether it answers, and how durable") \
    X(TEXT, listen, "listen", 0, "ADDRESS:PORT", CLI_ON(metrics),                                  \
      "serve over HTTP, as at 127.0.0.1:9730; without ADDRESS to this host alone")                 \
    X(TEXT, queue, "queue", 0, "NAME", CLI_ON(shutdown), "shut down this queue, not the manager")  \
    X(FLAG, immediate, "immediate", 0, NULL, CLI_ON(shutdown), "drop the items of the queue")      \
    X(TEXT, on_abandoned, "on-abandoned", 0, "run|fail", CLI_ON(lock),                             \
      "run (the default) or fail when the last owner died; the next one is told, too")             \
    X(FLAG, reset, "reset", 0, NULL, CLI_ON(barrier), "send away who waits, and make it as new")   \
    X(FLAG, json, "json", 0, NULL,                                                                 \
      CLI_ON(status) | CLI_ON(ls) | CLI_ON(why) | CLI_ON(put) | CLI_ON(get) | CLI_ON(jobs) |       \
          CLI_ON(logs) | CLI_ON(dead) | CLI_ON(show) | CLI_CONTAINERS,                             \
      "values are JSON, one a line; {\"bytes\": \"<base64>\"} stands for bytes")                   \
    X(FLAG, all, "all", 0, NULL, CLI_ON(show), "all values, whole")                                \
    X(FLAG, verbose, "verbose", 'v', NULL, CLI_ON(put) | CLI_ON(get),                              \
      "say how many items there were, and what they survive")                                      \
    X(TIME, timeout, "timeout", 't', "S", CLI_CONNECTED,                                           \
      "how long to wait: seconds, or as 500ms, 10m, 2h; default: 5 s, where it waits as above; "   \
      "of map: how long a command may take; default: as it likes")                                 \
    X(TEXT, url, "url", 0, "URL", CLI_CONNECTED,                                                   \
      "the manager's endpoints, separated by commas; default: $REEVE_URL, else your own socket")   \
    X(TEXT, key, "key", 0, "FILE", CLI_CONNECTED,                                                  \
      "key file; default: $REEVE_KEY; your own socket needs none")                                 \
    X(FLAG, help, "help", 'h', NULL, CLI_EVERYWHERE, "show this")                                  \
    X(FLAG, version, "version", 'V', NULL, CLI_EVERYWHERE, "show the version")

struct cli_texts {
    const char *at[CLI_TEXTS_MAX];
    size_t len;
};

struct cli_number {
    bool given;
    uint32_t value;
};

struct cli_maybe {
    bool given;
    const char *value; /* NULL: none */
};

typedef bool cli_type_FLAG;
typedef const char *cli_type_TEXT;
typedef struct cli_texts cli_type_TEXTS;
typedef struct cli_number cli_type_COUNT;
typedef struct cli_number cli_type_TIME;
typedef struct cli_maybe cli_type_MAYBE;

/* What the command line says. Texts are those of argv. */
struct cli_args {
#define CLI_FIELD(kind, field, name, letter, value, commands, help) cli_type_##kind field;
    CLI_OPTIONS(CLI_FIELD)
#undef CLI_FIELD
    enum cli_command command; /* CLI_COMMANDS_LEN: none was given */
    char **words;             /* those after the command; ends with NULL */
    int words_len;
};

/* ---- cli_options.c ---- */

/* Reads argv, whose words it moves to its end. EXIT_DONE, or EXIT_USAGE after a message. */
int cli_parse(struct cli_args *out, int argc, char **argv);

void cli_help(enum cli_command command); /* CLI_COMMANDS_LEN: of the tool */
const char *cli_command_name(enum cli_command command);

/* "1.5", "500ms", "10m" to milliseconds. */
bool cli_parse_time(uint32_t *ms, const char *text);

/* A number above 0. */
bool cli_parse_count(uint32_t *out, const char *text);

/* ---- say.c: messages, `reeve: cannot VERB OBJECT: reason; what to do` ---- */

/* Each prints one line to standard error, and returns the exit code that goes with it. */
/* Become that program, with these words. Returns, with an exit code, when there is none. */
int cli_become(const char *program, const char *const *words, int words_len);

int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_fail_usage(const struct cli_args *args, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The last failure of the library in this thread, with what to do about it. */
int cli_fail_call(reeve_err err);
int cli_exit_of(reeve_err err);

/* A number of a map; 0 when it is not there. A value as JSON, and what follows it; an exit code. */
uint64_t cli_number(const reeve_value *map, const char *key);

/* A text of a map, cut, in out, which is returned. What could move the cursor is not in it. */
enum { CLI_NAME = 256 };
const char *cli_name(char out[CLI_NAME], const reeve_value *map, const char *key);
int cli_print_json(const reeve_value *value, const char *end);

/* A key of a map as JSON: one that is no text becomes a text of its JSON. False without memory. */
bool cli_print_key(FILE *to, const reeve_value *key);

/* ---- units.c ---- */

/* Numbers with units into out, which is returned: "1.2 MB", "3m 12s", "0.4 s". */
enum { CLI_TEXT = 32 };
const char *cli_bytes(char out[CLI_TEXT], uint64_t bytes);
const char *cli_span(char out[CLI_TEXT], uint64_t ms);

/* ---- connect.c ---- */

/* Open a context as the options say. EXIT_DONE, or another code after a message. */
int cli_open(reeve_context **out, const struct cli_args *args);

/* Close it. A failure is told; code, if it is not EXIT_DONE, stays. */
int cli_close(reeve_context **ctx, int code);

uint32_t cli_timeout(const struct cli_args *args, uint32_t otherwise);

/* An existing queue with whatever options it has; with options on the command line, or when it is
 * missing and create is set, one with those. */
/* What --durable says; check it with cli_check_durable. */
reeve_durable cli_durable(const struct cli_args *args);
int cli_check_durable(const struct cli_args *args);
const char *cli_reached(void); /* reeve_reached() in a word */

reeve_err cli_open_queue(reeve_queue **out, reeve_context *ctx, const struct cli_args *args,
                         bool create);

/* From now on SIGINT and SIGTERM set cli_stopped(), the second time they kill. SIGPIPE is ignored. */
void cli_catch_signals(void);
int cli_stopped(void); /* the signal; 0: none */

/* ---- parse_json.c ---- */

/* Append the value that the text is to the builder, which was reset. On false why says where, and the
 * builder must be reset. */
enum { CLI_WHY = 128 };
bool cli_put_json(reeve_builder *builder, const char *text, size_t len, char why[CLI_WHY]);

/* ---- cmd_why.c ---- */

/* What reeve_why() tells, a line each. */
void cli_print_why(const reeve_value *rows);

/* ---- the commands, each in cmd_NAME.c; they return an exit code ---- */
#define CLI_COMMAND_RUN(name, words, fewest, most, line, more)                                     \
    int run_##name(const struct cli_args *args);
CLI_COMMANDS(CLI_COMMAND_RUN)
#undef CLI_COMMAND_RUN

#endif
