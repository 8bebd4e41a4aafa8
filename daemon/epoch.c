/* epoch.c - see epoch.h */
#include "epoch.h"

#include <assert.h>
#include <stdlib.h>

struct ram *ram_new(vgpu_source *source)
{
        struct ram *ram = calloc(1, sizeof(*ram));

        if (!ram) {
                vgpu_source_close(source);
                return NULL;
        }
        ram->refs = 1;
        ram->source = source;
        return ram;
}

struct ram *ram_ref(struct ram *ram)
{
        ram->refs++;
        return ram;
}

struct ram *ram_unref(struct ram *ram)
{
        if (!ram || --ram->refs > 0)
                return NULL;
        vgpu_source_close(ram->source);
        free(ram);
        return NULL;
}

struct epoch *epoch_open(struct ram *ram, uint64_t kcr3, const atomic_bool *cancel,
        atomic_uint *n_reads, struct win32_failure *reterr_why)
{
        struct epoch *epoch = calloc(1, sizeof(*epoch));

        if (!epoch) {
                *reterr_why = (struct win32_failure){ .reason = WIN32_OUT_OF_MEMORY };
                return NULL;
        }
        epoch->refs = 1;
        epoch->ram = ram;
        vgpu_source_mem_pread(ram->source, &epoch->mem);
        epoch->mem.cancel = cancel;
        epoch->mem.n_reads = n_reads;
        epoch->v = vmie_win32_open(&epoch->mem, kcr3, reterr_why);
        epoch->mem.cancel = NULL;
        epoch->mem.n_reads = NULL;
        if (!epoch->v) {
                free(epoch);
                return NULL;
        }
        return epoch;
}

void epoch_adopt_ram(struct epoch *epoch)
{
        ram_ref(epoch->ram);
}

struct epoch *epoch_ref(struct epoch *epoch)
{
        epoch->refs++;
        return epoch;
}

struct epoch *epoch_unref(struct epoch *epoch)
{
        if (!epoch || --epoch->refs > 0)
                return NULL;
        vmie_win32_close(epoch->v);
        ram_unref(epoch->ram);
        free(epoch->known);
        free(epoch);
        return NULL;
}

bool epoch_same_kernel(const struct epoch *a, const struct epoch *b)
{
        const struct win32_info *x = vmie_win32_info(a->v), *y = vmie_win32_info(b->v);

        return a->ram == b->ram && x->kcr3 == y->kcr3 && x->kernel_base == y->kernel_base &&
               x->system_eprocess == y->system_eprocess && x->boot_id == y->boot_id;
}
