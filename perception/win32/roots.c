/*
 * roots.c - do the processes' page tables lie where the memory layout puts them? (see roots.h)
 *
 * The layout is the caller's word: a machine type from a configuration. Taken on trust, a wrong one would map the upper
 * part of a region onto pages of other programs, and every check that goes through the same layout would agree.
 */
#include <errno.h>

#include "detail.h"
#include "roots.h"
#include "../memmodel/walk.h"

#define KERNEL_HALF_FIRST_ENTRY 256u

/* Pieces of RAM that are told apart; all after the last share its place. The place before it is "no RAM at all". */
#define PIECES  16u
#define NOWHERE (PIECES - 1)

struct piece {
        size_t n_right, n_wrong;
        const process *first_wrong;
};

static unsigned piece_of(const vmie_mem *m, uint64_t gpa)
{
        for (size_t i = 0; i < m->n_extents; i++) {
                if (gpa >= m->extents[i].gpa && gpa - m->extents[i].gpa < m->extents[i].len)
                        return i < NOWHERE ? (unsigned)i : NOWHERE - 1;
        }
        return NOWHERE;
}

static bool refers_to(uint64_t entry, uint64_t root)
{
        return (entry & PTE_P) && (entry & PTE_PFN) == root;
}

/* Return: 1 with the index, 0 (this kernel has none), or a read error. */
static int self_index(vmie_mem *m, uint64_t kcr3, unsigned *ret_index)
{
        uint64_t table[PTE_PER_TABLE];
        int r;

        r = gpa_read(m, kcr3, table, sizeof(table));
        if (r < 0)
                return r;
        for (unsigned i = KERNEL_HALF_FIRST_ENTRY; i < PTE_PER_TABLE; i++) {
                if (refers_to(table[i], kcr3)) {
                        *ret_index = i;
                        return 1;
                }
        }
        return 0;
}

static int judge(vmie_mem *m, const process *p, unsigned index, struct piece *pieces)
{
        struct piece *piece = &pieces[piece_of(m, p->cr3)];
        uint64_t entry = 0;
        int r;

        r = gpa_read(m, p->cr3 + index * sizeof(entry), &entry, sizeof(entry));
        if (r < 0 && r != -EFAULT)
                return r;
        if (r == 0 && refers_to(entry, p->cr3)) {
                piece->n_right++;
                return 0;
        }
        piece->n_wrong++;
        if (!piece->first_wrong)
                piece->first_wrong = p;
        return 0;
}

int roots_check(
        vmie_mem *m, uint64_t kcr3, const process *list, size_t n, struct win32_failure *why)
{
        struct piece pieces[PIECES] = { 0 };
        unsigned index;
        int r;

        r = self_index(m, kcr3, &index);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (list[i].flags & PROCESS_EXITED || list[i].cr3 == 0)
                        continue;
                r = judge(m, &list[i], index, pieces);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < PIECES; i++) {
                /* One wrong root among right ones is a process that ended meanwhile. */
                if (pieces[i].n_wrong == 0 || pieces[i].n_right > 0)
                        continue;
                why->address = pieces[i].first_wrong->cr3;
                detail_str(why, "root ");
                detail_hex(why, pieces[i].first_wrong->cr3);
                detail_str(why, " of process ");
                detail_dec(why, pieces[i].first_wrong->pid);
                detail_str(why, i == NOWHERE ? " is beyond RAM" : " is not there");
                return -EBADMSG;
        }
        return 0;
}
