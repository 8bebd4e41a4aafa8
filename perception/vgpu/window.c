/*
 * window.c - the span between first reads and rechecks, inside which bytes of a region count (see window.h)
 *
 * The order is what makes it sound: each outer thing is read before and after all inner ones, so it stood still for as
 * long as they were relied upon. models/recheck.pml is the same order for spin, to be read beside this.
 */
#include <errno.h>
#include <string.h>

#include "window.h"

void window_init(struct window *w, const struct win32_anchors *a, const process *p,
        uint64_t region_gva, const struct vgpu_identity *identity)
{
        w->anchors = *a;
        w->proc = *p;
        w->region_gva = region_gva;
        w->identity = *identity;
        w->settle = (struct settle){ 0 };
        w->trace = (struct gpa_trace){ 0 };
        gather_page_init(&w->block);
}

int window_read(const struct window *w, vmie_mem *m, uint32_t offset, void *dst, size_t len)
{
        return gpa_read(m, w->block.extents[0].gpa + offset, dst, len);
}

/* Return: 0, -ESTALE, or a read error. */
static int check_identity(const struct window *w, vmie_mem *m)
{
        struct vgpu_identity now;
        int r;

        r = window_read(w, m, 0, &now, sizeof(now));
        if (r < 0)
                return r;
        return memcmp(&now, &w->identity, sizeof(now)) == 0 ? 0 : -ESTALE;
}

int window_gather(struct window *w, vmie_mem *m, struct gva_gather *frame, uint64_t gva,
        const struct gva_part *parts, size_t n)
{
        int r = 0;

        gather_begin(frame, gva);
        for (size_t i = 0; i < n && r == 0; i++)
                r = gather_add(frame, m, w->proc.cr3, parts[i].offset, parts[i].len);
        return r < 0 ? r : settle_judge(&w->settle, m, w->anchors.kcr3, frame);
}

static int read_first(struct window *w, vmie_mem *m)
{
        static const struct gva_part block = { 0, VGPU_PRODUCER_BYTES };
        int r;

        r = win32_anchors_check(&w->anchors, m);
        if (r < 0)
                return r;
        read_fence();
        r = win32_process_check(&w->anchors, m, &w->proc);
        if (r < 0)
                return r;
        read_fence();
        r = window_gather(w, m, &w->block.g, w->region_gva, &block, 1);
        if (r <= 0)
                return r;
        read_fence();
        r = check_identity(w, m);
        read_fence();
        return r < 0 ? r : 1;
}

/*
 * A look is short and there is a frame time between two: all that is read here has left the caches meanwhile, and each table
 * names the next, so it would be waited for one by one. It stands where it stood the last time, nearly always.
 */
int window_open(struct window *w, vmie_mem *m)
{
        int r;

        walk_hint_trace(m, &w->trace);
        w->trace.n = 0;
        memset(w->trace.seen, 0, sizeof(w->trace.seen));
        m->trace = &w->trace;
        r = read_first(w, m);
        m->trace = NULL;
        return r;
}

int window_close(const struct window *w, vmie_mem *m, const struct gva_gather *frame)
{
        int r;

        if (frame)
                walk_hint_trace(m, &w->trace);
        read_fence();
        r = check_identity(w, m);
        if (r < 0)
                return r;
        read_fence();
        if (frame) {
                r = gather_recheck(frame, m, 0, UINT64_MAX);
                if (r <= 0)
                        return r;
        }
        r = gather_recheck(&w->block.g, m, 0, UINT64_MAX);
        if (r <= 0)
                return r;
        read_fence();
        r = win32_process_check(&w->anchors, m, &w->proc);
        if (r < 0)
                return r;
        read_fence();
        r = win32_anchors_check(&w->anchors, m);
        return r < 0 ? r : 1;
}
