/*
 * pe.c - a PE32+ image in guest memory: its headers and its exports (see pe.h)
 *
 * Facts: Microsoft PE Format specification (headers, export directory).
 */
#include <errno.h>
#include <string.h>

#include "pe.h"

#define PE_SIGNATURE   0x00004550u /* "PE\0\0" */
#define PE_AMD64       0x8664u
#define PE32_PLUS      0x20bu
#define PE_MAX_IMAGE   (64u << 20)
#define PE_MAX_EXPORTS 65536u /* ordinals have 16 bits */
#define PE_NAME_BYTES  64u

struct dos_header {
        uint16_t magic;
        uint8_t unused[58];
        uint32_t nt_offset;
};

/* As laid out in the image; all fields fall on their natural alignment from the signature on. */
struct nt_headers {
        uint32_t signature;
        uint16_t machine, n_sections;
        uint32_t time_stamp, symbols, n_symbols;
        uint16_t optional_bytes, characteristics;
        uint16_t magic, linker;
        uint32_t code_bytes, data_bytes, bss_bytes, entry, code_base;
        uint32_t image_base[2];
        uint32_t section_alignment, file_alignment;
        uint32_t versions[4];
        uint32_t image_bytes, headers_bytes, checksum;
        uint16_t subsystem, dll_characteristics;
        uint32_t stack_heap[8];
        uint32_t loader_flags, n_directories;
        uint32_t export_rva, export_bytes;
};

_Static_assert(offsetof(struct nt_headers, image_bytes) == 24 + 56, "SizeOfImage");
_Static_assert(offsetof(struct nt_headers, subsystem) == WIN32_NT_HEADER_BYTES, "CheckSum ends");
_Static_assert(offsetof(struct nt_headers, n_directories) == 24 + 108, "NumberOfRvaAndSizes");
_Static_assert(offsetof(struct nt_headers, export_rva) == 24 + 112, "first data directory");

struct export_directory {
        uint32_t characteristics, time_stamp;
        uint16_t major, minor;
        uint32_t name_rva, ordinal_base, n_functions, n_names;
        uint32_t functions_rva, names_rva, ordinals_rva;
};

_Static_assert(sizeof(struct export_directory) == 40, "export directory");

static int refuse(struct pe_image *image, const char *flaw, int error)
{
        image->flaw = flaw;
        return error;
}

static bool in_image(const struct pe_image *image, uint32_t rva, uint64_t len)
{
        return (uint64_t)rva + len <= image->size;
}

static int read_rva(const struct pe_image *image, vmie_mem *m, uint64_t kcr3, uint32_t rva,
        void *dst, size_t len)
{
        if (!in_image(image, rva, len))
                return -ENOENT;
        return gva_read(m, kcr3, image->base + rva, dst, len);
}

/* Compares at most strlen(name) + 1 bytes, and never looks past the image. */
static int compare_name(const struct pe_image *image, vmie_mem *m, uint64_t kcr3, uint32_t rva,
        const char *name, int *ret_order)
{
        size_t len = strlen(name) + 1;
        char there[PE_NAME_BYTES] = "";
        int r;

        if (rva < image->size && len > image->size - rva)
                len = image->size - rva;
        if (len >= sizeof(there))
                len = sizeof(there) - 1;
        r = read_rva(image, m, kcr3, rva, there, len);
        if (r < 0)
                return r;
        *ret_order = strcmp(name, there);
        return 0;
}

static int read_headers(vmie_mem *m, uint64_t kcr3, uint64_t base, struct pe_image *image)
{
        struct dos_header dos;
        struct nt_headers nt;
        int r;

        r = gva_read(m, kcr3, base, &dos, sizeof(dos));
        if (r < 0)
                return r;
        if (dos.magic != PE_DOS_MAGIC || dos.nt_offset < sizeof(dos) || dos.nt_offset % 4 != 0 ||
                dos.nt_offset > GVA_PAGE_BYTES - sizeof(nt))
                return refuse(image, "its headers lead nowhere", -ENOENT);
        r = gva_read(m, kcr3, base + dos.nt_offset, &nt, sizeof(nt));
        if (r < 0)
                return r;
        if (nt.signature != PE_SIGNATURE)
                return refuse(image, "it has no PE signature", -ENOENT);
        if (nt.machine != PE_AMD64 || nt.magic != PE32_PLUS)
                return refuse(image, "it is for another kind of processor", -ENOENT);
        if (nt.optional_bytes < sizeof(nt) - 24 || nt.n_directories < 1)
                return refuse(image, "its optional header is cut short", -ENOENT);
        if (nt.image_bytes < GVA_PAGE_BYTES || nt.image_bytes > PE_MAX_IMAGE ||
                base + nt.image_bytes < base)
                return refuse(image, "its size is impossible", -ENOENT);
        *image = (struct pe_image){
                .base = base,
                .size = nt.image_bytes,
                .nt_offset = dos.nt_offset,
                .export_rva = nt.export_rva,
                .export_bytes = nt.export_bytes,
        };
        memcpy(image->nt_header, &nt, sizeof(image->nt_header));
        return 0;
}

static int read_export_directory(
        vmie_mem *m, uint64_t kcr3, const char *name, struct pe_image *image)
{
        struct export_directory dir;
        int order, r;

        if (image->export_rva == 0 || image->export_bytes < sizeof(dir))
                return refuse(image, "it exports nothing", -ENOENT);
        r = read_rva(image, m, kcr3, image->export_rva, &dir, sizeof(dir));
        if (r < 0)
                return refuse(image, "its export directory cannot be read", r);
        r = compare_name(image, m, kcr3, dir.name_rva, name, &order);
        if (r < 0)
                return refuse(image, "its name cannot be read", r);
        if (order != 0)
                return refuse(image, "it has another name", -ENOENT);
        if (!in_image(image, image->export_rva, image->export_bytes) ||
                dir.n_functions > PE_MAX_EXPORTS || dir.n_names > PE_MAX_EXPORTS ||
                !in_image(image, dir.functions_rva, UINT64_C(4) * dir.n_functions) ||
                !in_image(image, dir.names_rva, UINT64_C(4) * dir.n_names) ||
                !in_image(image, dir.ordinals_rva, UINT64_C(2) * dir.n_names))
                return refuse(image, "its export tables reach outside of it", -EBADMSG);
        image->n_functions = dir.n_functions;
        image->n_names = dir.n_names;
        image->functions_rva = dir.functions_rva;
        image->names_rva = dir.names_rva;
        image->ordinals_rva = dir.ordinals_rva;
        return 0;
}

int pe_open(vmie_mem *m, uint64_t kcr3, uint64_t base, const char *name, struct pe_image *ret_image)
{
        struct pe_image image = { .flaw = "its headers cannot be read" };
        int r;

        r = read_headers(m, kcr3, base, &image);
        if (r == 0)
                r = read_export_directory(m, kcr3, name, &image);
        if (r < 0) {
                ret_image->base = base;
                ret_image->flaw = image.flaw;
                return r;
        }
        *ret_image = image;
        return 0;
}

static int export_at(
        const struct pe_image *image, vmie_mem *m, uint64_t kcr3, uint32_t index, uint64_t *ret_va)
{
        uint16_t ordinal;
        uint32_t rva;
        int r;

        r = read_rva(image, m, kcr3, image->ordinals_rva + 2 * index, &ordinal, sizeof(ordinal));
        if (r < 0)
                return r;
        if (ordinal >= image->n_functions)
                return -ENOENT;
        r = read_rva(image, m, kcr3, image->functions_rva + 4 * ordinal, &rva, sizeof(rva));
        if (r < 0)
                return r;
        /* An address inside the export directory is the name of another module's export. */
        if (rva == 0 || rva >= image->size ||
                (rva >= image->export_rva && rva - image->export_rva < image->export_bytes))
                return -ENOENT;
        *ret_va = image->base + rva;
        return 0;
}

int pe_export(const struct pe_image *image, vmie_mem *m, uint64_t kcr3, const char *name,
        uint64_t *ret_va)
{
        uint32_t low = 0, high = image->n_names;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                uint32_t rva;
                int order, r;

                r = read_rva(image, m, kcr3, image->names_rva + 4 * middle, &rva, sizeof(rva));
                if (r < 0)
                        return r;
                r = compare_name(image, m, kcr3, rva, name, &order);
                if (r < 0)
                        return r;
                if (order == 0)
                        return export_at(image, m, kcr3, middle, ret_va);
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return -ENOENT;
}
