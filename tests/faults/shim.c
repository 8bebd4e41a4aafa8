/*
 * shim.c - preloaded into a program: where its life begins for the harness, and what it has open when it ends
 *
 * A sanitizer has an allocator and a search for leaks of its own, which take no other beside them; this file is the whole shim
 * then, and only system calls fail.
 */
#include "shim.h"

#include <dirent.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct board *shim_board;
__thread int shim_busy;

/* A program that knows where it is in its life says so. */
__attribute__((visibility("default"))) void vgpu_fault_phase(unsigned phase);
__attribute__((visibility("default"))) void vgpu_fault_phase(unsigned phase)
{
        if (shim_board)
                atomic_store(&shim_board->phase, phase);
}

__attribute__((constructor)) static void begin(void)
{
        const char *fd = getenv(BOARD_FD_VARIABLE);
        void *first[2];

        if (!fd)
                return;
        shim_board =
                mmap(NULL, sizeof(*shim_board), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd), 0);
        if (shim_board == MAP_FAILED)
                _exit(126);
        close(atoi(fd));
        /* the first time it loads a library */
        shim_busy++;
        backtrace(first, 2);
        shim_busy--;
        atomic_store(&shim_board->started, true);
}

static void tell_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;

        while (dir && (entry = readdir(dir)) != NULL && shim_board->n_fds < BOARD_FDS) {
                int fd = atoi(entry->d_name);
                char to[BOARD_TEXT];
                ssize_t len;

                if (entry->d_name[0] == '.' || fd <= STDERR_FILENO || fd == dirfd(dir))
                        continue;
                len = readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1);
                if (len < 0)
                        continue;
                to[len] = '\0';
                snprintf(shim_board->fds[shim_board->n_fds++], BOARD_TEXT, "%s", to);
        }
        if (dir)
                closedir(dir);
}

__attribute__((destructor)) static void end(void)
{
        if (!shim_board)
                return;
        shim_busy++;
        atomic_store(&shim_board->started, false);
        if (shim_tell_live)
                shim_tell_live();
        tell_fds();
        shim_board->ended = true;
        shim_busy--;
}
