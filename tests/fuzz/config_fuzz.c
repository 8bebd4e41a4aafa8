/*
 * config_fuzz.c - a configuration file of any bytes; one that loads is printed, and what is printed must load again
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

/* A file that is gone with its descriptor. */
static int file_of(const void *data, size_t size, char path[static 32])
{
        int fd = memfd_create("config", MFD_CLOEXEC);

        require(fd >= 0 && write(fd, data, size) == (ssize_t)size, "no memfd");
        snprintf(path, 32, "/proc/self/fd/%d", fd);
        return fd;
}

static void print_and_load(const struct vgpu_config *cfg, const struct config_report *read)
{
        struct config_report report = { 0 };
        struct vgpu_config again;
        char *text = NULL, path[32];
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int fd;

        config_print(f, cfg, read);
        fclose(f);
        fd = file_of(text, len, path);
        require(config_load(path, &again, &report) == 0, "what was printed does not load");
        config_report_free(&report);
        close(fd);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct config_report report = { 0 };
        struct vgpu_config cfg;
        char path[32];
        int fd = file_of(data, size, path);
        int r = config_load(path, &cfg, &report);

        require(r == 0 ? report.n_errors == 0 : report.n_errors > 0, "refused without a reason");
        for (size_t i = 0; i < report.n; i++) {
                for (const char *c = report.item[i].text; *c; c++)
                        require((unsigned char)*c >= ' ' && *c != 0x7f,
                                "a control character in a reason");
        }
        if (r == 0)
                print_and_load(&cfg, &report);
        config_report_free(&report);
        close(fd);
        return 0;
}
