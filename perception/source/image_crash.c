/*
 * image_crash.c - where memory is in a crash dump that 64-bit Windows wrote
 *
 * A header of two pages, then the pages of memory: all of the runs that the header lists, one behind the other; or, since
 * Windows 8, those whose bit is set in a bitmap behind the header. Dumps of the kernel's pages alone are refused: the
 * region is in a process.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "image.h"

#define HEADER_BYTES  0x2000
#define AT_ROOT       0x10 /* DirectoryTableBase */
#define AT_MACHINE    0x30 /* MachineImageType */
#define AT_RUNS       0x88 /* PhysicalMemoryBlock: count, pages, then base and count of each run */
#define AT_RUNS_END   0x348
#define AT_DUMP_TYPE  0xf98
#define MACHINE_AMD64 0x8664
#define DUMP_FULL     1
#define DUMP_BITMAP   5
#define BITMAP_FIRST  0x20 /* offset of the first page */
#define BITMAP_PAGES  0x30 /* bits */
#define BITMAP_BITS   0x38
#define PFN_END       (UINT64_C(1) << 40)
#define BITMAP_END    (UINT64_C(1) << 36) /* 256 TiB: more than Windows runs on, and read in seconds */

static uint32_t u32_at(const uint8_t *bytes, size_t offset)
{
        uint32_t value;

        memcpy(&value, bytes + offset, sizeof(value));
        return le32toh(value);
}

static uint64_t u64_at(const uint8_t *bytes, size_t offset)
{
        uint64_t value;

        memcpy(&value, bytes + offset, sizeof(value));
        return le64toh(value);
}

/* Adds a run of pages whose bytes begin at *offset, and moves that on. */
static int add_run(struct image *image, uint64_t pfn, uint64_t n_pages, uint64_t *offset)
{
        int r;

        if (pfn > PFN_END || n_pages > PFN_END - pfn)
                return -EBADMSG;
        r = image_add(image, pfn * GVA_PAGE_BYTES, *offset, n_pages * GVA_PAGE_BYTES);
        *offset += n_pages * GVA_PAGE_BYTES;
        return r;
}

static int parse_runs(struct image *image, const uint8_t *header)
{
        uint32_t n = u32_at(header, AT_RUNS);
        uint64_t offset = HEADER_BYTES;
        int r = 0;

        if (n > (AT_RUNS_END - AT_RUNS - 16) / 16)
                return -EBADMSG;
        for (uint32_t i = 0; i < n && r == 0; i++) {
                const uint8_t *run = header + AT_RUNS + 16 + i * 16;

                r = add_run(image, u64_at(run, 0), u64_at(run, 8), &offset);
        }
        return r;
}

/* A run of set bits that goes on from one chunk of the bitmap to the next. */
struct run {
        uint64_t pfn, n_pages, offset;
};

static int take_bit(struct image *image, struct run *run, uint64_t pfn, bool set)
{
        int r = 0;

        if (set && run->n_pages++ == 0)
                run->pfn = pfn;
        if (!set && run->n_pages > 0) {
                r = add_run(image, run->pfn, run->n_pages, &run->offset);
                run->n_pages = 0;
        }
        return r;
}

/* Eight pages, or what is left of them up to @end. */
static int take_byte(struct image *image, struct run *run, uint64_t pfn, uint64_t end, uint8_t bits)
{
        int r = 0;

        /* A bitmap may be as large as a sparse file claims to be, and then it is nothing but these. */
        if (bits == 0 && run->n_pages == 0)
                return 0;
        for (unsigned i = 0; i < 8 && pfn + i < end && r == 0; i++)
                r = take_bit(image, run, pfn + i, bits >> i & 1);
        return r;
}

static int parse_bitmap(struct image *image)
{
        uint8_t head[BITMAP_BITS], chunk[16384];
        struct run run = { 0 };
        uint64_t n_bits;
        int r;

        r = image_read(image, head, sizeof(head), HEADER_BYTES);
        if (r < 0)
                return r;
        if ((memcmp(head, "FDMP", 4) != 0 && memcmp(head, "SDMP", 4) != 0) ||
                memcmp(head + 4, "DUMP", 4) != 0)
                return -EBADMSG;
        run.offset = u64_at(head, BITMAP_FIRST);
        n_bits = u64_at(head, BITMAP_PAGES);
        if (n_bits > BITMAP_END || n_bits / 8 > image->size)
                return -EBADMSG;
        for (uint64_t byte = 0; byte < (n_bits + 7) / 8 && r == 0; byte++) {
                uint64_t left = (n_bits + 7) / 8 - byte;
                size_t at = byte % sizeof(chunk);

                if (at == 0)
                        r = image_read(image, chunk, left < sizeof(chunk) ? left : sizeof(chunk),
                                HEADER_BYTES + BITMAP_BITS + byte);
                if (r == 0)
                        r = take_byte(image, &run, byte * 8, n_bits, chunk[at]);
        }
        return r == 0 ? take_bit(image, &run, n_bits, false) : r;
}

int image_parse_crash(struct image *image)
{
        uint8_t header[HEADER_BYTES];
        int r;

        r = image_read(image, header, sizeof(header), 0);
        if (r < 0)
                return r;
        if (u32_at(header, AT_MACHINE) != MACHINE_AMD64)
                return -ENOTSUP;
        image->info.kcr3 = u64_at(header, AT_ROOT) & PTE_PFN;
        switch (u32_at(header, AT_DUMP_TYPE)) {
        case DUMP_FULL:
                image->info.kind = VGPU_IMAGE_CRASH_FULL;
                return parse_runs(image, header);
        case DUMP_BITMAP:
                image->info.kind = VGPU_IMAGE_CRASH_BITMAP;
                return parse_bitmap(image);
        default:
                return -ENOTSUP;
        }
}
