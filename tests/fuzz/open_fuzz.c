/*
 * open_fuzz.c - finding and opening a kernel: start blocks, roots, PE headers, exports, accessors, process objects
 */
#include "fuzz_guest.h"

/* The kernel scan's own budgets, and a walk for each of what they allow. */
#define OPEN_READS (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_guest *g = fuzz_guest();
        struct win32_failure why = { .reason = WIN32_OK };
        struct win32_clock clock;
        vmie_win32 *v;

        if (!fuzz_guest_load(g, data, size))
                return 0;
        g->w.image.mem.kcr3 = 0;
        if (g->head.choice & 1)
                g->w.image.mem.levels = 0; /* for the core to find out */
        fuzz_guest_call(g);
        v = vmie_win32_open(&g->w.image.mem, g->head.root, &why);
        fuzz_guest_called(g, OPEN_READS);
        if (v) {
                const struct win32_info *info = vmie_win32_info(v);

                fuzz_require(info->kcr3 != 0 && info->kernel_base != 0, "opened without a kernel");
                vmie_win32_check(v, &g->w.image.mem);
                win32_read_clock(&g->w.image.mem, &clock);
        } else {
                fuzz_require(why.reason != WIN32_OK, "not opened, and no reason why");
                fuzz_require(win32_reason_text(why.reason) && win32_stage_text(why.stage),
                        "a reason without words");
        }
        vmie_win32_close(v);
        fuzz_guest_reset(g);
        return 0;
}
