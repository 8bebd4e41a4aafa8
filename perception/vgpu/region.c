/*
 * region.c - life of a handle
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "region.h"

static bool same_shape(const struct vgpu_identity *id, const struct vgpup_candidate *c)
{
        return vgpu_identity_valid(id) && id->producer_pid == c->proc.pid &&
               id->region_bytes == c->region_bytes && id->slot_stride == c->slot_stride &&
               id->slot_count == c->slot_count && id->heartbeat_period_ms == c->heartbeat_period_ms;
}

/* The identity to compare with from now on. What is wrong with it here shows when the window opens. */
static int bind_identity(vgpup_region *r, vmie_mem *m)
{
        const struct vgpup_candidate *c = &r->candidate;
        struct vgpu_identity id;
        int rc;

        rc = gva_read(m, c->proc.cr3, c->region_gva, &id, sizeof(id));
        if (rc < 0)
                return rc;
        if (!same_shape(&id, c))
                return -ESTALE;
        r->window.identity = id;
        return 0;
}

static int bind_run_epoch(vgpup_region *r, vmie_mem *m)
{
        vgpup_status status;

        return vgpup_read_status(r, m, &status);
}

int vgpup_bind(
        vmie_win32 *v, vmie_mem *m, const struct vgpup_candidate *c, vgpup_region **ret_region)
{
        static const struct vgpu_identity none;
        vgpup_region *r;
        int rc;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->candidate = *c;
        r->cursor_seq = 1;
        window_init(&r->window, win32_anchors_of(v), &c->proc, c->region_gva, &none);
        rc = bind_identity(r, m);
        if (rc == 0)
                rc = gather_init(&r->frame, c->slot_stride);
        if (rc == 0)
                rc = settle_init(&r->window.settle, c->region_gva, c->region_bytes);
        if (rc == 0)
                rc = bind_run_epoch(r, m);
        if (rc < 0) {
                vgpup_close(r);
                return rc;
        }
        *ret_region = r;
        return 0;
}

void vgpup_close(vgpup_region *r)
{
        if (!r)
                return;
        gather_deinit(&r->frame);
        settle_deinit(&r->window.settle);
        free(r);
}

const struct vgpup_candidate *vgpup_region_candidate(const vgpup_region *r)
{
        return &r->candidate;
}

uint32_t vgpup_run_epoch(const vgpup_region *r)
{
        return r->run_epoch;
}

enum vgpup_skip vgpup_last_skip(const vgpup_region *r)
{
        return r->skip;
}

uint64_t vgpup_torn_retries(const vgpup_region *r)
{
        return r->n_torn;
}
