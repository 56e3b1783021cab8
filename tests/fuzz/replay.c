/* replay.c -- the main() of a fuzzer without libFuzzer: give it each of the files that are named. */

#include "common/base/base.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MOST = 1 << 20 };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        uint8_t *bytes = malloc(MOST);
        FILE *file = fopen(argv[i], "rb");
        size_t len = 0;

        if (file == NULL || bytes == NULL) {
            fprintf(stderr, "replay: cannot read %s\n", argv[i]);
            return 1;
        }
        len = fread(bytes, 1, MOST, file);
        fclose(file);
        (void)LLVMFuzzerTestOneInput(bytes, len);
        free(bytes);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
