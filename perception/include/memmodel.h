/*
 * memmodel.h - guest-physical memory as a value, and the x86-64 page walk over it
 *
 * A vmie_mem says how guest-physical bytes are read and what a walk needs to know: which physical addresses are RAM, the
 * System page-table root, the number of paging levels. It owns nothing and opens nothing: a memory source (a mapped RAM
 * file, pread, an array in a test, a fuzzer's bytes) fills it in, see vgpu_source.h. One per thread, because the reason
 * of the last fault lives in it.
 *
 * Everything here walks afresh: no translation is cached, nothing is allocated, logged or kept. Bytes are copied into the
 * caller's buffer; no pointer into the guest is ever formed.
 *
 * Outcomes: 0, or -EFAULT (the guest does not map it, or maps it outside RAM: gva_fault() says which), -EINVAL (not
 * canonical, or wraps), -ECANCELED (the owner's cancel flag is set), or what the source's read returned (-EIO: the host
 * file could not be read, -ESTALE: it is not what it was).
 *
 * Facts: Intel SDM vol. 3, chapter 4 (paging); PFN bits 12..51, PS bit 7, NX bit 63.
 */
#ifndef VMIE_MEMMODEL_H
#define VMIE_MEMMODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GVA_PAGE_BYTES 4096u

/* Page-table entry bits that a reader goes by. */
#define PTE_P   (UINT64_C(1) << 0)
#define PTE_W   (UINT64_C(1) << 1)
#define PTE_U   (UINT64_C(1) << 2)
#define PTE_PS  (UINT64_C(1) << 7)
#define PTE_NX  (UINT64_C(1) << 63)
#define PTE_PFN UINT64_C(0x000ffffffffff000)

/*
 * Addresses from here up (to the next quarter of 64 bits) are no memory but zeros: where the bytes of a page are that the
 * guest has promised and not made yet. No entry can name one, gpa_read() of one succeeds.
 */
#define GPA_ZEROS (UINT64_C(1) << 63)

static inline bool gpa_is_zeros(uint64_t gpa)
{
        return gpa >> 62 == GPA_ZEROS >> 62;
}

/* A stretch of guest-physical addresses that is RAM. */
struct gpa_extent {
        uint64_t gpa;
        uint64_t len; /* bytes */
};

struct vmie_mem_ops {
        /* Copies [gpa, gpa + len), which lies inside one extent, to @dst. 0 or negative errno; @dst then unspecified. */
        int (*read)(void *ctx, uint64_t gpa, void *dst, size_t len);

        /*
         * Where bytes that may not be zero begin, at or behind @gpa and before @end, both in one extent: a hole of a
         * sparse RAM file need not be read to know what is in it. NULL: a source that cannot tell. 0 and *ret_gpa,
         * -ENXIO (nothing but holes up to @end), or another negative errno.
         */
        int (*next_data)(void *ctx, uint64_t gpa, uint64_t end, uint64_t *ret_gpa);

        /*
         * These will probably be read soon, and what has to be fetched for that can be fetched now, all at a time. Reads
         * nothing itself and cannot fail, whatever the ranges. NULL: there is nothing to be gained.
         */
        void (*hint)(void *ctx, const struct gpa_extent *ranges, size_t n);
};

/* Why a walk stopped. A reason is kept for each refused read: "why did it fail?" is the question people ask first. */
enum gva_fault_kind {
        GVA_FAULT_NONE,
        GVA_FAULT_NON_CANONICAL, /* not an address this paging mode can form */
        GVA_FAULT_NOT_PRESENT, /* an entry with the valid bit clear, and nothing more is known of it */
        GVA_FAULT_ZERO_ENTRY, /* a last-level entry that is 0: unmapped, or for the process' VADs to say */
        GVA_FAULT_PAGED_OUT,  /* its bytes are in the pagefile */
        GVA_FAULT_TRANSITION, /* in transition: its bytes may still be on their way in */
        GVA_FAULT_PROTOTYPE,  /* the prototype entry it refers to cannot be read */
        GVA_FAULT_BY_VAD,     /* a prototype entry that only the process' VADs lead to */
        GVA_FAULT_BY_FILE,    /* a file's page that is not in memory */
        GVA_FAULT_MALFORMED, /* a large-page bit where there are no large pages, or a misaligned large page */
        GVA_FAULT_NOT_USER,    /* a kernel's page where only a user's would do */
        GVA_FAULT_OUTSIDE_RAM, /* a table or page beyond the RAM that exists */
        GVA_FAULT_SOURCE,      /* the host could not read the bytes: @error says why */
        GVA_FAULT_CANCELED,
};

struct gva_fault {
        enum gva_fault_kind kind;
        unsigned level;     /* 5..1 of the entry, 0: the page itself or no walk */
        uint64_t gva;       /* what was asked for */
        uint64_t entry_gpa; /* where the entry was read, 0: none */
        uint64_t entry;     /* its value */
        int error;          /* negative errno the caller got */
};

struct vmie_mem;

/* Where reads went, so that the next who goes there can hint at all of it at once. Only that: no value is kept. */
#define GPA_TRACE_READS 64u
#define GPA_TRACE_SEEN                                                                             \
        1024u /* bits; many beside the reads, so that two of them rarely have one bit */

/* All-zero: nothing was read. */
struct gpa_trace {
        size_t n;
        struct gpa_extent read[GPA_TRACE_READS];
        uint64_t seen[GPA_TRACE_SEEN /
                      64]; /* a bit for what is among them: walks read the upper tables again and again */
};

/* What a last-level entry with the valid bit clear says, in the guest's own terms. */
enum pte_software_kind {
        PTE_SOFTWARE_UNKNOWN,
        PTE_SOFTWARE_ZERO,
        PTE_SOFTWARE_DEMAND_ZERO, /* zeros, made when somebody touches the page */
        PTE_SOFTWARE_TRANSITION,  /* at @address, or on its way there */
        PTE_SOFTWARE_PROTOTYPE,   /* another entry, at the kernel address @address, says */
        PTE_SOFTWARE_PAGEFILE,
        PTE_SOFTWARE_VAD,
};

struct pte_software {
        enum pte_software_kind kind;
        uint64_t address;
};

/* Pure: from the entry's value, and the RAM that there is. */
typedef struct pte_software (*pte_software_fn)(const struct vmie_mem *m, uint64_t entry);

typedef struct vmie_mem {
        const struct vmie_mem_ops *ops;
        void *ctx;
        const struct gpa_extent *extents; /* ascending, not overlapping; borrowed */
        size_t n_extents;
        const atomic_bool
                *cancel; /* NULL, or a flag that ends every read and scan with -ECANCELED */
        atomic_uint
                *n_reads; /* NULL, or counts them, for another thread that wants to see it go on */
        uint64_t kcr3;    /* System page-table root; 0 until a kernel was found */
        unsigned
                levels; /* 4, or 5 for a guest that runs LA57 (cannot be seen in a cr3); 0: 4 until known */
        struct gpa_trace *trace;  /* NULL, or where to note reads until it is full */
        pte_software_fn software; /* what its absent last-level entries mean; NULL: not mapped */
        struct gva_fault fault;   /* of the last call that failed */
} vmie_mem;

struct gva_mapping {
        uint64_t gpa;      /* of the byte asked for; gpa_is_zeros() when it is not made yet */
        uint64_t entry;    /* leaf entry as read */
        uint64_t page_len; /* 4 KiB, 2 MiB or 1 GiB */
        bool user;         /* PTE_U in every level whose entry is valid */
        bool writable;     /* PTE_W in every such level */
};

/* One physically contiguous piece of a virtual range. */
struct gva_extent {
        uint64_t gpa;    /* gpa_is_zeros(): that many zeros */
        uint64_t offset; /* of its first byte in the range */
        uint64_t len;    /* bytes */
};

/* A part of a virtual range. */
struct gva_part {
        uint64_t offset; /* in the range */
        uint64_t len;    /* bytes */
};

/**
 * gpa_read() - copy guest-physical bytes
 * @m:   memory; borrowed for the call
 * @gpa: first byte
 * @dst: caller's buffer of at least @len bytes
 * @len: bytes; must lie in RAM (or all in GPA_ZEROS), may cross from one extent into an adjacent one; 0 succeeds
 *
 * Return: 0, -EFAULT (outside RAM), -ECANCELED, or the source's error. After a failure @dst is unspecified.
 */
int gpa_read(vmie_mem *m, uint64_t gpa, void *dst, size_t len);

/**
 * gva_translate() - walk the page tables for one address
 * @m:           memory; borrowed for the call
 * @cr3:         page-table root; the low 12 bits are ignored
 * @gva:         address; need not be aligned
 * @ret_mapping: written on success only
 *
 * A page in transition is refused, also behind a prototype entry: whether its bytes have arrived shows only over time, and
 * a single call has none.
 *
 * Return: 0, or see the head of this file.
 */
int gva_translate(vmie_mem *m, uint64_t cr3, uint64_t gva, struct gva_mapping *ret_mapping);

/**
 * gva_read() - copy bytes out of a guest virtual address space
 * @m:   memory; borrowed for the call
 * @cr3: page-table root; the low 12 bits are ignored
 * @gva: first byte; need not be aligned
 * @dst: caller's buffer of at least @len bytes; untouched beyond @len
 * @len: bytes; may cross pages; 0 succeeds without a walk
 *
 * The guest runs while we read, so the bytes are one moment's view per page, not a snapshot.
 *
 * Return: 0, or see the head of this file. After a failure @dst is unspecified.
 */
int gva_read(vmie_mem *m, uint64_t cr3, uint64_t gva, void *dst, size_t len);

/* The last failure of a call on @m; kind GVA_FAULT_NONE when there was none. Valid until the next call on @m. */
const struct gva_fault *gva_fault(const vmie_mem *m);

/* A sentence piece for a person, e.g. "not mapped (entry not present)". Static storage. */
const char *gva_fault_text(enum gva_fault_kind kind);

/**
 * vmie_mem_adopt() - let one memory value walk as another does
 * @m:     another source over the same guest, e.g. a map beside the pread that found the kernel
 * @model: the value a win32 context was opened on
 *
 * Takes over what was learnt (kcr3, levels, software entries), not how bytes are read.
 */
void vmie_mem_adopt(vmie_mem *m, const vmie_mem *model);

#endif /* VMIE_MEMMODEL_H */
