/*
 * discover_fuzz.c - looking for regions in processes of the input's making
 */
#include "fuzz_guest.h"

#define CANDIDATES 8
#define DISCOVER_READS                                                                             \
        (16u << 20) /* the scan's budgets of tables and probes, and the process list */
#define ALIVE_READS 500u

static void check_candidate(const struct vgpup_candidate *c)
{
        fuzz_require(c->region_gva % VGPU_REGION_ALIGN == 0, "a candidate off its alignment");
        fuzz_require(c->slot_count >= VGPU_MIN_SLOTS && c->slot_count <= VGPU_MAX_SLOTS &&
                             c->slot_stride > 0 && c->slot_stride <= VGPU_SLOT_STRIDE,
                "a candidate with slots that may not be");
        fuzz_require(c->region_bytes == VGPU_RING_OFFSET + c->slot_count * c->slot_stride,
                "a candidate whose sizes do not add up");
        fuzz_require(!(c->proc.flags & PROCESS_EXITED), "a candidate in a dead process");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_guest *g = fuzz_guest();
        struct vgpup_candidate found[CANDIDATES];
        size_t n = 0;

        if (!fuzz_guest_load(g, data, size))
                return 0;
        fuzz_guest_call(g);
        if (vgpup_discover_all(g->v, found, CANDIDATES, &n) < 0)
                n = 0;
        fuzz_guest_called(g, DISCOVER_READS);
        for (size_t i = 0; i < n && i < CANDIDATES; i++) {
                vgpup_region *region;

                check_candidate(&found[i]);
                fuzz_guest_call(g);
                vgpup_confirm_alive(
                        &g->w.image.mem, found[i].proc.cr3, found[i].region_gva, g->head.gva);
                fuzz_guest_called(g, ALIVE_READS);
                if (vgpup_bind(g->v, &g->w.image.mem, &found[i], &region) == 0)
                        vgpup_close(region);
        }
        fuzz_guest_reset(g);
        return 0;
}
