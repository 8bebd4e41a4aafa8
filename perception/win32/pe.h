/*
 * pe.h - a PE32+ image in guest memory: its headers and its exports
 *
 * Every size and address in an image is the guest's word: all are checked against the image's own size, in 64 bits,
 * before they are followed.
 */
#ifndef WIN32_PE_H
#define WIN32_PE_H

#include "anchors.h"

#define PE_DOS_MAGIC 0x5a4du /* "MZ" */

struct pe_image {
        uint64_t base;
        uint32_t size; /* SizeOfImage */
        uint32_t nt_offset;
        uint8_t nt_header[WIN32_NT_HEADER_BYTES];
        uint32_t export_rva, export_bytes;
        uint32_t n_functions, n_names;
        uint32_t functions_rva, names_rva, ordinals_rva;
        const char *flaw; /* why it was refused, in static storage; NULL: it was not */
};

/**
 * pe_open() - read and check the headers of an image
 * @m, @kcr3:  where it is mapped
 * @base:      its first byte
 * @name:      what its export directory must call it, e.g. "ntoskrnl.exe"
 * @ret_image: on success all of it, on failure base and flaw
 *
 * Return: 0, -ENOENT (no PE32+ for x86-64 of that name), -EBADMSG (it is that image, but its export directory does not
 * hold together), or a read error.
 */
int pe_open(
        vmie_mem *m, uint64_t kcr3, uint64_t base, const char *name, struct pe_image *ret_image);

/**
 * pe_export() - address of an export by name
 *
 * Binary search: the loader's own, so the names are sorted.
 *
 * Return: 0 and *ret_va, -ENOENT (none of that name, or it is forwarded elsewhere), or a read error.
 */
int pe_export(const struct pe_image *image, vmie_mem *m, uint64_t kcr3, const char *name,
        uint64_t *ret_va);

#endif /* WIN32_PE_H */
