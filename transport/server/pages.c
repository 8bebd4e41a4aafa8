/*
 * pages.c - the clients' own pages, side by side
 *
 * A page is a memfd of one page per client, because a client that shares one with others could write theirs. Its seals
 * are set before it leaves: a client that could shrink it would have the daemon die of SIGBUS at its next look. The
 * maps lie next to each other in one reservation, so that the entries of a page table that a pass over all of them
 * needs lie next to each other, too: eight to a cache line.
 */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int pages_init(struct pages *pages, uint32_t max)
{
        void *base;

        *pages = (struct pages){ .max = max, .page_bytes = (size_t)sysconf(_SC_PAGESIZE) };
        pages->seat = calloc(max, sizeof(*pages->seat));
        if (!pages->seat)
                return -ENOMEM;
        base = mmap(NULL, max * pages->page_bytes, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
                return -errno;
        pages->base = base;
        return 0;
}

void pages_deinit(struct pages *pages)
{
        if (pages->base)
                munmap(pages->base, pages->max * pages->page_bytes);
        free(pages->seat);
        *pages = (struct pages){ 0 };
}

static int sealed_page(size_t bytes)
{
        int fd = memfd_create("vgpud-client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int err;

        if (fd < 0)
                return -errno;
        /* who got the descriptor may write; who finds it in that process' /proc may not open it */
        if (ftruncate(fd, (off_t)bytes) < 0 || fchmod(fd, 0600) < 0 ||
                fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
                err = -errno;
                close(fd);
                return err;
        }
        return fd;
}

int pages_take(struct pages *pages, uint32_t *ret_index, int *ret_fd)
{
        uint32_t i = 0;
        int fd, err;

        /* the lowest: the pass ends at the highest */
        while (i < pages->end && pages->seat[i].taken)
                i++;
        if (i >= pages->max)
                return -ENOSPC;
        fd = sealed_page(pages->page_bytes);
        if (fd < 0)
                return fd;
        if (mmap((void *)pages_at(pages, i), pages->page_bytes, PROT_READ,
                    MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED) {
                err = -errno;
                close(fd);
                return err;
        }
        pages->seat[i] = (struct page_seat){ .taken = true, .wake_fd = -1 };
        if (i >= pages->end)
                pages->end = i + 1;
        *ret_index = i;
        *ret_fd = fd;
        return 0;
}

void pages_leave(struct pages *pages, uint32_t index)
{
        pages->seat[index].taken = false;
        while (pages->end > 0 && !pages->seat[pages->end - 1].taken)
                pages->end--;
        /* should this fail, the dead page stays until its seat is taken again */
        mmap((void *)pages_at(pages, index), pages->page_bytes, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
