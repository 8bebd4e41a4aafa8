/* glances.c - see glances.h */
#include "glances.h"

#include <errno.h>

/* What is taken at once: some hundred microseconds, which is as long as one of two may have to wait for the other. */
#define PORTION 128u

/* Fewer are over before a second thread has begun. */
#define WORTH_HELP 2048u

/* Shared by whoever looks. */
struct looking {
        const struct glances *g;
        atomic_size_t next; /* nobody has taken what is from here on */
        atomic_bool any;
        atomic_int error; /* 0, or what ends the scan */
};

struct looker {
        struct looking *l;
        vmie_mem mem;
};

bool glance_ends_scan(int r)
{
        return r < 0 && r != -EFAULT && r != -EINVAL && r != -ESTALE;
}

bool identity_is_suspect(const struct vgpu_identity *id, enum vgpup_flaw flaw)
{
        struct vgpu_identity complete = *id;

        complete.magic = VGPU_MAGIC;
        return flaw != VGPUP_FLAW_MAGIC || vgpu_identity_valid(&complete);
}

/* Does it look like anything? Return: 1, 0, or what a read came to. */
static int glance(const struct glances *g, vmie_mem *m, const struct spot *spot)
{
        struct vgpu_identity id;
        enum vgpup_flaw flaw;
        int r;

        r = gpa_read(m, spot->gpa, &id, sizeof(id));
        if (r < 0)
                return r;
        if (!g->for_suspects)
                return id.magic == VGPU_MAGIC;
        flaw = vgpu_identity_flaw(&id);
        return flaw == VGPUP_FLAW_NONE || identity_is_suspect(&id, flaw);
}

/* Return: 0, or what ends the scan. */
static int glance_at_portion(struct looking *l, vmie_mem *m, size_t from, size_t to)
{
        struct spots *s = l->g->spots;
        size_t n_pages = 0;
        int r = 0;

        for (size_t i = from; i < to; i++) {
                struct spot *spot = &s->spot[s->order[i]];

                r = glance(l->g, m, spot);
                if (glance_ends_scan(r))
                        break;
                n_pages += r >= 0;
                spot->hit = r > 0;
                if (r > 0)
                        atomic_store_explicit(&l->any, true, memory_order_relaxed);
        }
        atomic_fetch_add_explicit(l->g->n_pages, n_pages, memory_order_relaxed);
        return glance_ends_scan(r) ? r : 0;
}

static void look(struct looking *l, vmie_mem *m)
{
        size_t n = l->g->spots->n;

        while (atomic_load_explicit(&l->error, memory_order_relaxed) == 0) {
                size_t from = atomic_fetch_add_explicit(&l->next, PORTION, memory_order_relaxed);
                int r;

                if (from >= n)
                        return;
                r = glance_at_portion(l, m, from, n - from < PORTION ? n : from + PORTION);
                if (r < 0)
                        atomic_store_explicit(&l->error, r, memory_order_relaxed);
        }
}

static void look_beside(void *arg)
{
        struct looker *looker = arg;

        look(looker->l, &looker->mem);
}

/* One thread alone notes where it reads, and counts reads for who watches: two would wait for each other's counter. */
static vmie_mem beside(const vmie_mem *m)
{
        vmie_mem copy = *m;

        copy.trace = NULL;
        copy.n_reads = NULL;
        return copy;
}

int glance_at_all(const struct glances *g, vmie_mem *m)
{
        struct looking l = { .g = g };
        struct looker second = { .l = &l, .mem = beside(m) };
        bool helped = g->helper && g->spots->n >= WORTH_HELP &&
                      g->helper->begin(g->helper, look_beside, &second);
        int r;

        look(&l, m);
        if (helped)
                g->helper->end(g->helper);
        r = atomic_load_explicit(&l.error, memory_order_relaxed);
        return r < 0 ? r : atomic_load_explicit(&l.any, memory_order_relaxed);
}
