/*
 * kernel.c - finding the System page-table root and the kernel image it maps (see kernel.h)
 *
 * The boot loader maps the kernel somewhere in one 512 GiB range, at page granularity, with other images around it. What
 * makes an image the kernel is the name in its own export directory.
 */
#include <errno.h>

#include "kernel.h"
#include "../memmodel/scan.h"

#define STUB_FIRST UINT64_C(0x1000)
#define STUB_LAST  UINT64_C(0x9f000)

#define KERNEL_RANGE_FIRST UINT64_C(0xfffff80000000000)
#define KERNEL_RANGE_LAST  UINT64_C(0xfffff87fffffffff)
#define KERNEL_BELOW_ENTRY (UINT64_C(32) << 20)

/* A real kernel range takes some hundred tables; a hostile one must not keep us for longer than a second or so. */
#define KERNEL_SCAN_TABLES 4096u
#define KERNEL_SCAN_PROBES (1u << 20)
#define PROBES_PER_IMAGE   64u /* what reading an image's headers counts for */

/* The far jump at the block's start, the entry point's and the root's place: PROCESSOR_START_BLOCK. */
struct start_block {
        uint64_t jump;
        uint64_t unused[13];
        uint64_t entry; /* 0x70 */
        uint64_t unused2[5];
        uint64_t root; /* 0xa0 */
};

_Static_assert(offsetof(struct start_block, entry) == 0x70, "LmTarget");
_Static_assert(offsetof(struct start_block, root) == 0xa0, "ProcessorState.Cr3");

static bool is_start_block(const struct start_block *b)
{
        return (b->jump & UINT64_C(0xffffffffffff00ff)) == UINT64_C(0x00000001000600e9) &&
               (b->entry & UINT64_C(0xfffff80000000003)) == UINT64_C(0xfffff80000000000) &&
               b->root != 0 && (b->root & UINT64_C(0xffffff0000000fff)) == 0;
}

int low_stub_next(vmie_mem *m, uint64_t gpa, struct low_stub *ret_stub)
{
        if (gpa < STUB_FIRST)
                gpa = STUB_FIRST;
        for (; gpa <= STUB_LAST; gpa += GVA_PAGE_BYTES) {
                struct start_block block;
                int r;

                r = gpa_read(m, gpa, &block, sizeof(block));
                if (r == -EFAULT)
                        continue;
                if (r < 0)
                        return r;
                if (!is_start_block(&block))
                        continue;
                *ret_stub = (struct low_stub){ gpa, block.entry, block.root };
                return 1;
        }
        return 0;
}

struct kernel_search {
        vmie_mem *m;
        uint64_t kcr3;
        uint64_t first, last;
        size_t n_probes_left;
        struct pe_image image; /* the kernel, or the likeliest of those refused */
        bool seen_page, damaged;
};

static int probe_image(struct kernel_search *s, uint64_t gva)
{
        struct pe_image image = { 0 };
        int r;

        s->n_probes_left -=
                s->n_probes_left < PROBES_PER_IMAGE ? s->n_probes_left : PROBES_PER_IMAGE;
        r = pe_open(s->m, s->kcr3, gva, WIN32_KERNEL_NAME, &image);
        if (r == 0) {
                s->image = image;
                return 1;
        }
        if (r == -EBADMSG ? !s->damaged : !s->image.base)
                s->image = image;
        s->damaged = s->damaged || r == -EBADMSG;
        return r == -ENOENT || r == -EFAULT || r == -EINVAL || r == -EBADMSG ? 0 : r;
}

/* An image may begin at any 4 KiB of a large page. */
static int probe_page(void *ctx, const struct scan_page *page)
{
        struct kernel_search *s = ctx;
        uint64_t gva = page->gva < s->first ? s->first : page->gva;
        uint64_t end =
                page->gva + (page->len - 1) > s->last ? s->last : page->gva + (page->len - 1);

        s->seen_page = true;
        for (; gva <= end; gva += GVA_PAGE_BYTES) {
                uint16_t magic;
                int r;

                if (s->n_probes_left == 0)
                        return -ENOENT;
                s->n_probes_left--;
                r = gpa_read(s->m, page->gpa + (gva - page->gva), &magic, sizeof(magic));
                if (r == 0 && magic == PE_DOS_MAGIC)
                        r = probe_image(s, gva);
                if (r != 0 && r != -EFAULT)
                        return r;
        }
        return 0;
}

static int search_range(struct kernel_search *s, uint64_t first, uint64_t last)
{
        struct gva_scan scan = {
                .first = first,
                .last = last,
                .required = PTE_P,
                .n_tables_left = KERNEL_SCAN_TABLES,
                .visit = probe_page,
                .ctx = s,
        };
        int r;

        s->first = first;
        s->last = last;
        r = gva_scan(s->m, s->kcr3, &scan);
        return r == 1 ? 0 : r == 0 ? -ENOENT : r;
}

int kernel_find(vmie_mem *m, uint64_t kcr3, uint64_t entry, struct pe_image *ret_image)
{
        struct kernel_search s = { .m = m, .kcr3 = kcr3, .n_probes_left = KERNEL_SCAN_PROBES };
        int r = -ENOENT;

        if (entry >= KERNEL_RANGE_FIRST && entry <= KERNEL_RANGE_LAST) {
                uint64_t first = KERNEL_RANGE_FIRST;

                if (entry - first > KERNEL_BELOW_ENTRY)
                        first = entry - KERNEL_BELOW_ENTRY;
                r = search_range(&s, first & ~UINT64_C(0xfff), entry);
        }
        if (r == -ENOENT)
                r = search_range(&s, KERNEL_RANGE_FIRST, KERNEL_RANGE_LAST);
        if (r == -ENOENT && s.damaged)
                r = -EBADMSG;
        if (r == -ENOENT && !s.image.base)
                s.image.flaw = s.seen_page ? "no image begins in the kernel range"
                                           : "nothing is mapped in the kernel range";
        if (r == 0 || r == -EBADMSG || r == -ENOENT)
                *ret_image = s.image;
        return r;
}
