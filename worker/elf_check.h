#ifndef ELF_CHECK_H
#define ELF_CHECK_H

/*
 * elf_check.h -- can a program run on this host? And which function does an address belong to?
 *
 * Files are somebody's: nothing in them is believed, every offset is checked, and a file that
 * is nonsense is one that cannot run.
 */

#include "common/base/base.h"

enum elf_kind { ELF_PROGRAM, ELF_MODULE };

/* What an answer needs beside the file. */
struct elf_host {
    const char *root;         /* "" or a folder that stands for /, for tests */
    const char *library_dirs; /* $LD_LIBRARY_PATH, or NULL */
    const char *own_dir;      /* where our own libreeve is, or NULL */
    const char *libc;         /* version of glibc, as "2.36" */
};

/*
 * Class, byte order and machine; the loader; each library; the newest version of glibc that is
 * asked for. False and a sentence in why: "it needs libfoo.so.3, which is not on this host".
 * own: it needs own_dir among the folders of libraries. Blocks while it reads.
 */
bool elf_check(int fd, enum elf_kind kind, const struct elf_host *host, bool *own, char *why,
               size_t why_len);

/* The function at an offset of a file, and how far behind its beginning: false when none is
 * known. Only regular files are opened. */
bool elf_symbol(const char *path, uint64_t offset, char *name, size_t name_len, uint64_t *plus);

#endif
