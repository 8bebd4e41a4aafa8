/*
 * replay.c - runs a fuzz target over files, for compilers and runs without a fuzzer
 *
 * Each argument is an input or a folder of inputs. Each input is also cut short in a few places: a reader of bytes
 * usually trips where they end.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CUTS      8u
#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_inputs;

/* A copy of exactly its size, so that a sanitizer sees a read past its end. */
static void run_cut(const uint8_t *data, size_t size)
{
        uint8_t *exact = malloc(size ? size : 1);

        if (!exact)
                abort();
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
}

static int run_file(const char *path)
{
        uint8_t *data = malloc(INPUT_MAX);
        FILE *f = fopen(path, "rb");
        size_t size;

        if (!f || !data) {
                perror(path);
                free(data);
                if (f)
                        fclose(f);
                return 1;
        }
        size = fread(data, 1, INPUT_MAX, f);
        fclose(f);
        for (unsigned i = 1; i <= CUTS; i++)
                run_cut(data, size * i / CUTS);
        free(data);
        n_inputs++;
        return 0;
}

static int run_folder(const char *path)
{
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), failed = n < 0;

        for (int i = 0; i < n; i++) {
                char file[4096];

                if (entries[i]->d_name[0] != '.') {
                        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
                        failed |= run_file(file);
                }
                free(entries[i]);
        }
        if (n >= 0)
                free(entries);
        else
                perror(path);
        return failed;
}

int main(int argc, char **argv)
{
        int failed = 0;

        for (int i = 1; i < argc; i++) {
                struct stat st;

                if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
                        failed |= run_folder(argv[i]);
                else
                        failed |= run_file(argv[i]);
        }
        printf("%zu inputs replayed\n", n_inputs);
        return failed || n_inputs == 0;
}
