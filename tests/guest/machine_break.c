/*
 * machine_break.c - damage of the kind a hostile or dying guest shows: lists and tables that lead nowhere or in circles
 *
 * Every broken word is remembered, so that the machine can be mended and go on: what a reader could not read a moment ago
 * it must be able to read then.
 */
#include "machine_private.h"

#define LOOPED_ROOTS 4u
#define LOOPED_SLOTS 8u

const char *const machine_break_names[MACHINE_N_BREAKS] = {
        [MACHINE_BREAK_LIST_CYCLE] = "list-cycle",
        [MACHINE_BREAK_LIST_BLINK] = "list-blink",
        [MACHINE_BREAK_LIST_WILD] = "list-wild",
        [MACHINE_BREAK_ROOT_LOOP] = "root-loop",
};

static bool wound(struct machine *m, uint64_t gpa, uint64_t value)
{
        if (m->n_wounds == MACHINE_MAX_WOUNDS)
                return false;
        m->wounds[m->n_wounds++] =
                (struct machine_wound){ .gpa = gpa, .was = get64(page_at(m, gpa)), .is = value };
        put64(page_at(m, gpa), value);
        return true;
}

/* The @n-th living process, without the producer. */
static const struct machine_process *nth_alive(const struct machine *m, uint32_t n)
{
        for (uint32_t i = 0; i < m->n_processes; i++)
                if (m->processes[i].alive && &m->processes[i] != m->producer && n-- == 0)
                        return &m->processes[i];
        return &m->processes[0];
}

static uint64_t links_va(const struct machine *m, const struct machine_process *p)
{
        return p->eprocess + m->layout->links;
}

static uint64_t links_gpa(const struct machine *m, const struct machine_process *p)
{
        return p->eprocess_gpa + m->layout->links;
}

static bool loop_roots(struct machine *m)
{
        for (uint32_t i = 0; i < LOOPED_ROOTS; i++) {
                uint64_t root = nth_alive(m, 5 + i)->cr3;

                for (uint32_t k = 0; k < LOOPED_SLOTS; k++)
                        if (!wound(m, root + (200 + k) * 8,
                                    root | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED))
                                return false;
        }
        return true;
}

bool machine_break(struct machine *m, enum machine_break what)
{
        const struct machine_process *early = nth_alive(m, 5), *late = nth_alive(m, 20);

        switch (what) {
        case MACHINE_BREAK_LIST_CYCLE:
                return wound(m, links_gpa(m, late), links_va(m, early));
        case MACHINE_BREAK_LIST_BLINK:
                return wound(m, links_gpa(m, late) + 8, links_va(m, early));
        case MACHINE_BREAK_LIST_WILD:
                return wound(m, links_gpa(m, late), UINT64_C(0xFFFFFFFFFFFFE000));
        default:
                return loop_roots(m);
        }
}

/* A word that is no longer as it was broken belongs to somebody else by now. */
void machine_mend(struct machine *m)
{
        while (m->n_wounds > 0) {
                const struct machine_wound *w = &m->wounds[--m->n_wounds];

                if (get64(page_at(m, w->gpa)) == w->is)
                        put64(page_at(m, w->gpa), w->was);
        }
}
