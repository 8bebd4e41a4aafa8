/*
 * attach.c - from nothing to a kernel: which page is the System page-table root?
 *
 * Start blocks in the low megabyte first, then pages that refer to themselves. A block may be left over from an earlier
 * boot, and such a page may be anything, so each is tried all the way; of several kernels the one whose clock is latest is
 * taken, and of several failures the one that got furthest is reported.
 */
#include <errno.h>

#include "context.h"
#include "detail.h"
#include "kernel.h"
#include "root_scan.h"
#include "shared.h"
#include "../memmodel/walk.h"

#define STUB_TRIES 16 /* one is usual; a guest can make 159 */
#define SCAN_TRIES 16 /* any process' root leads on to System's */

/* Every kernel maps something at the very top, and with five levels that entry is in use as well. */
static bool may_have_five_levels(struct vmie_win32 *v, uint64_t kcr3)
{
        uint64_t top;

        return gpa_read(v->m, kcr3 + (PTE_PER_TABLE - 1) * sizeof(top), &top, sizeof(top)) == 0 &&
               (top & PTE_P) && !(top & PTE_PS) && gpa_is_ram(v->m, top & PTE_PFN, GVA_PAGE_BYTES);
}

/* The number of levels cannot be seen in a root: the right one is the one that leads to a kernel. */
int win32_open_root(struct vmie_win32 *v, uint64_t kcr3, uint64_t entry, struct win32_failure *why)
{
        struct win32_failure by_five;
        int r;

        if (v->m->levels != 0)
                return win32_try_root(v, kcr3, entry, why);
        v->m->levels = 4;
        r = win32_try_root(v, kcr3, entry, why);
        if (r < 0 && r != -ECANCELED && why->stage == WIN32_STAGE_KERNEL &&
                may_have_five_levels(v, kcr3)) {
                v->m->levels = 5;
                r = win32_try_root(v, kcr3, entry, &by_five);
                if (by_five.stage > why->stage || r == -ECANCELED)
                        *why = by_five;
        }
        if (r < 0)
                v->m->levels = 0;
        return r;
}

/* What was tried, and the failure that got furthest; of equals, the first. */
struct attempts {
        struct win32_failure furthest;
        size_t n;
};

static void note_failure(struct attempts *a, const struct win32_failure *why)
{
        if (a->n == 0 || why->stage > a->furthest.stage || why->reason == WIN32_CANCELED)
                a->furthest = *why;
        a->n++;
}

/* A failure below the kernel image only says that what led there was not what it looked like. */
static bool led_nowhere(const struct win32_failure *why)
{
        return why->reason == WIN32_KCR3_UNREADABLE || why->reason == WIN32_KCR3_NOT_A_ROOT ||
               why->reason == WIN32_NO_KERNEL_IMAGE;
}

static void tell_stale(struct win32_failure *why, const struct low_stub *stub)
{
        struct win32_failure inner = *why;

        if (!led_nowhere(&inner))
                return;
        *why = (struct win32_failure){
                .stage = inner.stage,
                .reason = WIN32_STUB_STALE,
                .address = stub->kcr3,
                .fault = inner.fault,
        };
        detail_str(why, "block at ");
        detail_hex(why, stub->gpa);
        detail_str(why, ": ");
        detail_str(why, win32_reason_text(inner.reason));
}

/* The best kernel so far. */
struct choice {
        bool made;
        struct vmie_win32 kernel;
        int levels;
        uint64_t time; /* its wall clock */
};

/*
 * An earlier boot may leave its block behind, and a kernel that is whole as well: nothing in that says it is dead. Its
 * wall clock stopped when it died, though, so the kernel that lives is the one whose clock is latest.
 */
static int consider(struct vmie_win32 *v, const struct low_stub *stub, struct choice *best)
{
        uint64_t time = 0;
        int r;

        r = shared_read_system_time(v->m, v->info.kcr3, &time);
        if (r < 0 || (best->made && time <= best->time))
                return r < 0 ? r : 0;
        v->info.kcr3_from_stub = true;
        v->info.stub_gpa = stub->gpa;
        *best = (struct choice){
                .made = true,
                .kernel = *v,
                .levels = v->m->levels,
                .time = time,
        };
        return 0;
}

/* Each block to its end. Return: 0, -ENOENT (no more), -ECANCELED, or a source's error. */
static int try_stubs(struct vmie_win32 *v, struct choice *best, struct attempts *a)
{
        const int levels = v->m->levels;
        struct low_stub stub = { 0 };
        struct win32_failure why;
        int r;

        for (int i = 0; i < STUB_TRIES; i++) {
                r = low_stub_next(v->m, stub.gpa + GVA_PAGE_BYTES, &stub);
                if (r <= 0)
                        return r < 0 ? r : -ENOENT;
                if (best->made && best->kernel.info.kcr3 == stub.kcr3)
                        continue; /* another processor's */
                v->m->levels = levels;
                r = win32_open_root(v, stub.kcr3, stub.entry, &why);
                if (r == 0) {
                        r = consider(v, &stub, best);
                        if (r < 0)
                                return r;
                        continue;
                }
                tell_stale(&why, &stub);
                note_failure(a, &why);
                if (r == -ECANCELED)
                        return r;
        }
        return -ENOENT;
}

/* Return: 0, -ENOENT (no block led to a kernel), -ECANCELED, or a source's error. */
static int open_by_stub(struct vmie_win32 *v, struct attempts *a)
{
        struct choice best = { 0 };
        int r = try_stubs(v, &best, a);

        if (!best.made || r != -ENOENT)
                return r;
        *v = best.kernel;
        v->m->levels = best.levels;
        return 0;
}

static void tell_rejected(struct win32_failure *why, uint64_t root)
{
        struct win32_failure inner = *why;

        if (!led_nowhere(&inner))
                return;
        *why = (struct win32_failure){
                .stage = inner.stage,
                .reason = WIN32_ROOTS_REJECTED,
                .address = root,
                .fault = inner.fault,
        };
        detail_str(why, "page ");
        detail_hex(why, root);
        detail_str(why, ": ");
        detail_str(why, win32_reason_text(inner.reason));
}

/* Any process' root refers to itself and maps the kernel: it leads to System, and System to its own. */
static int open_found(struct vmie_win32 *v, uint64_t root, struct win32_failure *why)
{
        int r = win32_open_root(v, root, 0, why);

        if (r < 0 && r != -ECANCELED && v->other_root)
                r = win32_open_root(v, v->other_root, 0, why);
        return r;
}

/* Return: as open_by_stub(). */
static int open_by_scan(struct vmie_win32 *v, struct attempts *a)
{
        struct root_scan scan = { 0 };
        struct win32_failure why;
        uint64_t root;
        int r;

        for (int i = 0; i < SCAN_TRIES; i++) {
                r = root_scan_next(v->m, &scan, &root);
                if (r <= 0)
                        return r < 0 ? r : -ENOENT;
                r = open_found(v, root, &why);
                if (r == 0)
                        return 0;
                tell_rejected(&why, root);
                note_failure(a, &why);
                if (r == -ECANCELED)
                        return r;
        }
        return -ENOENT;
}

int win32_attach(struct vmie_win32 *v, struct win32_failure *why)
{
        struct attempts a = { .furthest.reason = WIN32_NO_STUB };
        int r;

        r = open_by_stub(v, &a);
        /* Where a kernel was found and something is wrong with it, a scan would only find it again. */
        if (r == -ENOENT && a.furthest.stage <= WIN32_STAGE_KERNEL)
                r = open_by_scan(v, &a);
        *why = a.furthest;
        if (r == -ECANCELED || (r < 0 && a.n == 0 && r != -ENOENT))
                return win32_failed(v, why, WIN32_NO_STUB, 0, r);
        return r;
}
