/*
 * glances.h - one look each at many places: which of them look like the beginning of a region
 *
 * Nearly all of a discovery is these looks, and nearly all of a look is waiting for memory that nobody has touched for long. So
 * two processors get through them in little more than half the time, where the caller has a second one to offer
 * (vgpu_perception.h, struct vgpup_helper).
 */
#ifndef VGPU_GLANCES_H
#define VGPU_GLANCES_H

#include "identity.h"
#include "spots.h"

struct glances {
        struct spots *spots; /* sorted; where one looks like something, hit is set, else cleared */
        bool for_suspects;   /* what has a flaw a person may want to hear of counts as well */
        struct vgpup_helper *helper; /* NULL: there is none */
        atomic_size_t *n_pages;      /* counts them */
};

/**
 * glance_at_all() - look at each spot once
 * @m: read by the calling thread; the helper reads by a copy of it
 *
 * What is no longer there is no hit. Return: 1 (there are hits), 0, -ECANCELED, or a source's error.
 */
int glance_at_all(const struct glances *g, vmie_mem *m);

/* What went away under us is no candidate; only cancellation and a failing source end a scan. */
bool glance_ends_scan(int r);

/* A page without the magic is any page, unless the magic is all that it lacks. */
bool identity_is_suspect(const struct vgpu_identity *id, enum vgpup_flaw flaw);

#endif /* VGPU_GLANCES_H */
