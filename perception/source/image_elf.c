/*
 * image_elf.c - where memory is in an ELF core of a machine
 *
 * Each PT_LOAD segment is a stretch of guest-physical memory at p_paddr. The registers of the virtual CPUs are in notes;
 * they are not looked at, because a CPU's CR3 may be any process', or a user half.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "image.h"

static bool is_our_machine(const Elf64_Ehdr *e)
{
        return e->e_ident[EI_CLASS] == ELFCLASS64 && e->e_ident[EI_DATA] == ELFDATA2LSB &&
               e->e_type == ET_CORE && e->e_machine == EM_X86_64;
}

/* A count that does not fit into its field is in the first section header. */
static int count_segments(const struct image *image, const Elf64_Ehdr *e, uint32_t *ret)
{
        Elf64_Shdr first;
        int r;

        if (e->e_phnum != PN_XNUM) {
                *ret = e->e_phnum;
                return 0;
        }
        if (e->e_shentsize != sizeof(first))
                return -EBADMSG;
        r = image_read(image, &first, sizeof(first), e->e_shoff);
        if (r == 0)
                *ret = first.sh_info;
        return r;
}

int image_parse_elf(struct image *image)
{
        Elf64_Ehdr e;
        uint32_t n = 0;
        int r;

        image->info.kind = VGPU_IMAGE_ELF_CORE;
        r = image_read(image, &e, sizeof(e), 0);
        if (r < 0)
                return r;
        if (!is_our_machine(&e))
                return -ENOTSUP;
        if (e.e_phentsize != sizeof(Elf64_Phdr))
                return -EBADMSG;
        r = count_segments(image, &e, &n);
        if (n > IMAGE_MAX_PIECES)
                return -EBADMSG;
        for (uint32_t i = 0; i < n && r == 0; i++) {
                uint64_t offset;
                Elf64_Phdr p;

                if (__builtin_add_overflow(e.e_phoff, i * sizeof(p), &offset))
                        return -EBADMSG;
                r = image_read(image, &p, sizeof(p), offset);
                if (r == 0 && p.p_type == PT_LOAD)
                        r = image_add(image, p.p_paddr, p.p_offset, p.p_filesz);
        }
        return r;
}
