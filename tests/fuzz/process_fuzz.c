/*
 * process_fuzz.c - the process list and single processes of a kernel that was opened before the input changed it
 */
#include "anchors.h"
#include "fuzz_guest.h"

#define LISTED 64
#define LIST_READS                                                                                 \
        (8u << 20) /* four walks and a look for a cycle, over the longest list there may be */
#define ONE_READS 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_guest *g = fuzz_guest();
        process list[LISTED];
        size_t n = 0;
        int r;

        if (!fuzz_guest_load(g, data, size))
                return 0;
        fuzz_guest_call(g);
        r = proc_list(g->v, list, LISTED, &n);
        fuzz_guest_called(g, LIST_READS);
        for (size_t i = 0; r == 0 && i < n && i < LISTED; i++) {
                fuzz_require(
                        list[i].name[sizeof(list[i].name) - 1] == '\0', "a name without its end");
                fuzz_require((list[i].cr3 & ~PTE_PFN) == 0, "a root that is no page");
                fuzz_guest_call(g);
                win32_process_check(win32_anchors_of(g->v), &g->w.image.mem, &list[i]);
                fuzz_guest_called(g, ONE_READS);
        }
        fuzz_guest_reset(g);
        return 0;
}
