/*
 * gpa.c - guest-physical reads: within RAM, cancellable, with a reason for each refusal
 */
#include <errno.h>
#include <string.h>

#include "walk.h"

/* A machine has a few extents, a crash dump as many as its memory has gaps: hundreds of thousands. */
const struct gpa_extent *gpa_extent(const vmie_mem *m, uint64_t gpa)
{
        size_t low = 0, high = m->n_extents;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct gpa_extent *e = &m->extents[middle];

                if (gpa < e->gpa)
                        high = middle;
                else if (gpa - e->gpa >= e->len)
                        low = middle + 1;
                else
                        return e;
        }
        return NULL;
}

bool gpa_is_ram(const vmie_mem *m, uint64_t gpa, uint64_t len)
{
        const struct gpa_extent *e = gpa_extent(m, gpa);

        return e && len <= e->len - (gpa - e->gpa);
}

int walk_fail(vmie_mem *m, const struct gva_fault *at, enum gva_fault_kind kind, int error)
{
        m->fault = *at;
        m->fault.kind = kind;
        m->fault.error = error;
        return error;
}

/* Once for a word; that two words have the same bit costs a hint. Out of the way of all reads that nobody notes. */
static __attribute__((noinline)) void note(struct gpa_trace *trace, uint64_t gpa, size_t len)
{
        uint64_t bit =
                (gpa / sizeof(uint64_t) * UINT64_C(0x9e3779b97f4a7c15) >> 32) % GPA_TRACE_SEEN;
        uint64_t *word = &trace->seen[bit / 64], mask = UINT64_C(1) << bit % 64;

        if (*word & mask || trace->n == GPA_TRACE_READS)
                return;
        *word |= mask;
        trace->read[trace->n++] = (struct gpa_extent){ gpa, len };
}

int walk_read(vmie_mem *m, const struct gva_fault *at, uint64_t gpa, void *dst, size_t len)
{
        uint8_t *to = dst;

        if (len > 0 && gpa_is_zeros(gpa) && gpa_is_zeros(gpa + (len - 1))) {
                memset(dst, 0, len);
                return 0;
        }
        while (len > 0) {
                const struct gpa_extent *e = gpa_extent(m, gpa);
                uint64_t piece;
                int r;

                if (m->cancel && atomic_load_explicit(m->cancel, memory_order_relaxed))
                        return walk_fail(m, at, GVA_FAULT_CANCELED, -ECANCELED);
                if (m->n_reads)
                        atomic_fetch_add_explicit(m->n_reads, 1, memory_order_relaxed);
                if (!e)
                        return walk_fail(m, at, GVA_FAULT_OUTSIDE_RAM, -EFAULT);
                piece = e->len - (gpa - e->gpa);
                if (piece > len)
                        piece = len;
                if (m->trace)
                        note(m->trace, gpa, piece);
                r = m->ops->read(m->ctx, gpa, to, piece);
                if (r < 0)
                        return walk_fail(m, at, GVA_FAULT_SOURCE, r);
                gpa += piece;
                to += piece;
                len -= piece;
        }
        return 0;
}

int gpa_read(vmie_mem *m, uint64_t gpa, void *dst, size_t len)
{
        struct gva_fault at = { .entry_gpa = gpa };

        m->fault = (struct gva_fault){ 0 };
        return walk_read(m, &at, gpa, dst, len);
}

void vmie_mem_adopt(vmie_mem *m, const vmie_mem *model)
{
        m->kcr3 = model->kcr3;
        m->levels = model->levels;
        m->software = model->software;
}

const struct gva_fault *gva_fault(const vmie_mem *m)
{
        return &m->fault;
}

const char *gva_fault_text(enum gva_fault_kind kind)
{
        switch (kind) {
        case GVA_FAULT_NONE:
                return "no fault";
        case GVA_FAULT_NON_CANONICAL:
                return "not an address (not canonical)";
        case GVA_FAULT_NOT_PRESENT:
                return "not mapped (entry not present)";
        case GVA_FAULT_ZERO_ENTRY:
                return "not mapped (entry is zero)";
        case GVA_FAULT_PAGED_OUT:
                return "not in memory (in the guest's pagefile)";
        case GVA_FAULT_TRANSITION:
                return "in transition (its bytes may not be there yet)";
        case GVA_FAULT_PROTOTYPE:
                return "mapped by a prototype entry that is not in memory";
        case GVA_FAULT_BY_VAD:
                return "mapped by a prototype entry that only the process' VADs lead to";
        case GVA_FAULT_BY_FILE:
                return "not in memory (a mapped file's page)";
        case GVA_FAULT_MALFORMED:
                return "mapped by a malformed page-table entry";
        case GVA_FAULT_NOT_USER:
                return "mapped for the kernel only";
        case GVA_FAULT_OUTSIDE_RAM:
                return "mapped outside guest RAM";
        case GVA_FAULT_SOURCE:
                return "unreadable on the host";
        case GVA_FAULT_CANCELED:
                return "canceled";
        }
        return "unknown fault";
}
