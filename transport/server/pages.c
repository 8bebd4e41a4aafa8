/*
 * pages.c - the clients' own pages, side by side
 *
 * A page is a memfd of one page per client, because a client that shares one with others could write theirs. A look at
 * it must never be a page fault: one that finds no page is a SIGBUS, and one that waits for memory, for swap or for
 * the reclaim of a control group that is the client's own makes the daemon wait. So the size is sealed before the memfd
 * leaves, and it is not mapped here before its client has and sealed FUTURE_WRITE, which spares the maps that there are
 * and forbids punching holes as well; mlock() then brings the page in and keeps it.
 *
 * That seal is the client's to set. Setting one takes the inode's lock, and a write() has that lock while it copies from
 * its caller's memory: from a map of a FUSE file, as long as the client likes. Asking for the seals takes none. Nothing
 * that takes it may be done here with a memfd that a client has.
 *
 * The maps lie next to each other in one reservation, so that the entries of a page table that a pass over all of
 * them needs lie next to each other, too: eight to a cache line.
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
        pages->watch = calloc(max, sizeof(*pages->watch));
        if (!pages->seat || !pages->watch)
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
        free(pages->watch);
        *pages = (struct pages){ 0 };
}

static void *place(const struct pages *pages, uint32_t index)
{
        return pages->base + (size_t)index * pages->page_bytes;
}

static int sealed_page(size_t bytes)
{
        int fd = memfd_create("vgpud-client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int err;

        if (fd < 0)
                return -errno;
        /* who got the descriptor may write; who finds it in that process' /proc may not open it */
        if (ftruncate(fd, (off_t)bytes) < 0 || fchmod(fd, 0600) < 0 ||
                fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
                err = -errno;
                close(fd);
                return err;
        }
        return fd;
}

int pages_take(struct pages *pages, uint32_t *ret_index)
{
        uint32_t i = 0;
        int fd;

        /* the lowest: maps that are looked at lie close together */
        while (i < pages->max && pages->seat[i].taken)
                i++;
        if (i >= pages->max)
                return -ENOSPC;
        fd = sealed_page(pages->page_bytes);
        if (fd < 0)
                return fd;
        pages->seat[i] = (struct page_seat){
                .taken = true, .wake_fd = -1, .memfd = fd, .watch = PAGES_NONE
        };
        *ret_index = i;
        return 0;
}

/* Into memory, for good where our limit on locked memory allows it. Unlike a look, either fails with an errno. */
static int bring_in(void *page, size_t bytes)
{
        if (mlock(page, bytes) == 0)
                return 0;
        if (madvise(page, bytes, MADV_POPULATE_READ) == 0 || errno == EINVAL)
                return 0;
        return -errno;
}

int pages_settle(struct pages *pages, uint32_t index)
{
        struct page_seat *seat = &pages->seat[index];
        int seals = fcntl(seat->memfd, F_GET_SEALS);
        void *page;
        int err;

        if (seals < 0)
                return -errno;
        if (!(seals & F_SEAL_FUTURE_WRITE))
                return -EPERM;
        page = mmap(place(pages, index), pages->page_bytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                seat->memfd, 0);
        if (page == MAP_FAILED)
                return -errno;
        err = bring_in(page, pages->page_bytes);
        if (err < 0)
                return err;
        close(seat->memfd);
        seat->memfd = -1;
        seat->watch = pages->n_watched++;
        pages->watch[seat->watch] =
                (struct page_watch){ .page = page, .seat = index, .leases = seat->leases };
        return 0;
}

/* The last one takes its place. */
static void unwatch(struct pages *pages, uint32_t at)
{
        const struct page_watch *last = &pages->watch[--pages->n_watched];

        pages->watch[at] = *last;
        pages->seat[last->seat].watch = at;
}

void pages_leave(struct pages *pages, uint32_t index)
{
        struct page_seat *seat = &pages->seat[index];

        if (seat->memfd >= 0)
                close(seat->memfd);
        if (seat->watch != PAGES_NONE)
                unwatch(pages, seat->watch);
        *seat = (struct page_seat){ .wake_fd = -1, .memfd = -1, .watch = PAGES_NONE };
        /* should this fail, the dead page stays until its seat is taken again */
        mmap(place(pages, index), pages->page_bytes, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
