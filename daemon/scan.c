/* scan.c - see scan.h */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scan_helper.h"

/* More than a guest usually has; those beyond are searched again each time. */
#define SCAN_MAX_KNOWN 4096

/* As the list is before the search: who comes during it has not been searched. NULL: then nobody is known next time. */
static process *list_processes(struct scan *scan, size_t *ret_n)
{
        process *list = calloc(SCAN_MAX_KNOWN, sizeof(*list));
        size_t n;

        *ret_n = 0;
        if (list && proc_list(scan->epoch->v, list, SCAN_MAX_KNOWN, &n) == 0)
                *ret_n = n < SCAN_MAX_KNOWN ? n : SCAN_MAX_KNOWN;
        return list;
}

/*
 * A producer that was started again is in a process that was not there before, and a search of those alone takes no
 * time. It must not be the only kind, or a guest could hide its old region behind ever new ones.
 */
static void find_regions(struct scan *scan)
{
        struct epoch *e = scan->epoch;
        vmie_mem *m = vmie_win32_mem(e->v);
        struct scan_helper helper;
        struct vgpup_discovery how = {
                .known = e->known,
                .n_known = e->n_known,
                .new_suffices = scan->kind == SCAN_DISCOVER && !e->was_brief,
                /* While there are frames, their thread and their clients have the other processor. */
                .helper = scan->kind == SCAN_DISCOVER ? &helper.helper : NULL,
        };
        process *now;
        size_t n_now;

        scan_helper_init(&helper);
        m->cancel = &scan->cancel;
        m->n_reads = &scan->n_reads;
        now = list_processes(scan, &n_now);
        scan->error =
                vgpup_discover(e->v, &how, scan->candidate, SCAN_MAX_CANDIDATES, &scan->n_seen);
        m->cancel = NULL;
        m->n_reads = NULL;
        scan->helper_ns = helper.took_ns;
        if (scan->error == 0)
                scan->n_candidates =
                        scan->n_seen < SCAN_MAX_CANDIDATES ? scan->n_seen : SCAN_MAX_CANDIDATES;
        free(e->known);
        e->known = now;
        e->n_known = n_now;
        e->was_brief = how.new_suffices && how.n_known > 0 && scan->n_candidates > 0;
}

/* Beside another scan of the same epoch: by memory of its own, and without a word in what that one remembers. */
static void find_newcomers(struct scan *scan)
{
        vmie_mem mem;
        const struct vgpup_discovery how = {
                .only = scan->only,
                .n_only = scan->n_only,
                .mem = &mem,
        };

        vgpu_source_mem_pread(scan->ram->source, &mem);
        vmie_mem_adopt(&mem, vmie_win32_mem(scan->epoch->v));
        mem.cancel = &scan->cancel;
        mem.n_reads = &scan->n_reads;
        scan->error = vgpup_discover(
                scan->epoch->v, &how, scan->candidate, SCAN_MAX_CANDIDATES, &scan->n_seen);
        if (scan->error == 0)
                scan->n_candidates =
                        scan->n_seen < SCAN_MAX_CANDIDATES ? scan->n_seen : SCAN_MAX_CANDIDATES;
}

static void find_kernel(struct scan *scan)
{
        scan->opened = epoch_open(scan->ram, scan->kcr3, &scan->cancel, &scan->n_reads, &scan->why);
}

/* The memory of an epoch that only this scan knows is dropped right here, without the loop's counts. */
static void forget_opened(struct scan *scan)
{
        vmie_win32_close(scan->opened->v);
        free(scan->opened);
        scan->opened = NULL;
}

static uint64_t cpu_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void scan_work(uv_work_t *work)
{
        struct scan *scan = work->data;

        scan->took_ns = cpu_ns();
        switch (scan->kind) {
        case SCAN_ATTACH:
                find_kernel(scan);
                break;
        case SCAN_DISCOVER:
                find_regions(scan);
                break;
        case SCAN_LOOK_AROUND:
                find_kernel(scan);
                if (scan->opened && epoch_same_kernel(scan->opened, scan->epoch))
                        forget_opened(scan);
                if (!scan->opened)
                        find_regions(scan);
                break;
        case SCAN_NEWCOMERS:
                find_newcomers(scan);
                break;
        }
        scan->took_ns = cpu_ns() - scan->took_ns + scan->helper_ns;
}

static void scan_returned(uv_work_t *work, int status)
{
        struct scan *scan = work->data;

        if (status == UV_ECANCELED)
                atomic_store(&scan->cancel, true);
        if (scan->opened)
                epoch_adopt_ram(scan->opened);
        if (atomic_load(&scan->cancel)) {
                scan->opened = epoch_unref(scan->opened);
                scan->n_candidates = scan->n_seen = 0;
                scan->error = -ECANCELED;
        }
        scan->done(scan, scan->ctx);
        epoch_unref(scan->opened);
        epoch_unref(scan->epoch);
        ram_unref(scan->ram);
        free(scan);
}

static struct scan *scan_new(enum scan_kind kind, scan_done done, void *ctx)
{
        struct scan *scan = calloc(1, sizeof(*scan));

        if (!scan)
                return NULL;
        scan->kind = kind;
        scan->done = done;
        scan->ctx = ctx;
        scan->work.data = scan;
        return scan;
}

static int send_out(uv_loop_t *loop, struct scan *scan, struct ram *ram, struct epoch *epoch,
        struct scan **ret_scan)
{
        int r;

        scan->ram = ram_ref(ram);
        scan->epoch = epoch ? epoch_ref(epoch) : NULL;
        r = uv_queue_work(loop, &scan->work, scan_work, scan_returned);
        if (r < 0) {
                epoch_unref(scan->epoch);
                ram_unref(scan->ram);
                free(scan);
                return r;
        }
        *ret_scan = scan;
        return 0;
}

int scan_start(uv_loop_t *loop, enum scan_kind kind, struct ram *ram, struct epoch *epoch,
        uint64_t kcr3, scan_done done, void *ctx, struct scan **ret_scan)
{
        struct scan *scan = scan_new(kind, done, ctx);

        if (!scan)
                return -ENOMEM;
        scan->kcr3 = kcr3;
        return send_out(loop, scan, ram, epoch, ret_scan);
}

int scan_start_newcomers(uv_loop_t *loop, struct ram *ram, struct epoch *epoch, const process *only,
        size_t n, scan_done done, void *ctx, struct scan **ret_scan)
{
        struct scan *scan = scan_new(SCAN_NEWCOMERS, done, ctx);

        if (!scan)
                return -ENOMEM;
        memcpy(scan->only, only, n * sizeof(*only));
        scan->n_only = n;
        return send_out(loop, scan, ram, epoch, ret_scan);
}

void scan_cancel(struct scan *scan)
{
        atomic_store(&scan->cancel, true);
}
