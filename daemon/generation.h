/*
 * generation.h - when the ring is replaced by one of another capacity
 *
 * A pure function: what exists and what is needed in, a decision out. A ring that clients map keeps its memory, however many
 * replaced it, and the mode is the guest's to choose as often as it likes. So capacity grows at least twofold, shrinks only
 * when a quarter of it has been enough for a while and nobody has an older ring any more, and all rings together, those of
 * the past included, have a limit in bytes and in number. What does not fit is refused; what fits goes on.
 */
#ifndef VGPUD_GENERATION_H
#define VGPUD_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

/* A smaller mode that is visited shortly (a game that starts, a secure desktop, a boot) must not cost two rings. */
#define GENERATION_SHRINK_AFTER_NS UINT64_C(30000000000)

/* Well-behaved clients let go at once, so more of them are nobody's need. */
#define GENERATION_MAX_OLD 8u

enum generation_move {
        GENERATION_STAY,
        GENERATION_GROW,
        GENERATION_SHRINK,
        GENERATION_REFUSE, /* it does not fit, and there is no room for a larger one */
};

struct generation_config {
        uint32_t slots;
        uint64_t max_bytes;   /* of all rings */
        uint64_t least_bytes; /* per slot: smaller than this gains nothing */
        uint64_t most_bytes;  /* per slot: no frame is larger */
        uint64_t shrink_after_ns;
        uint32_t max_old;
};

/* What there is, and what is asked of it. */
struct generation_facts {
        uint64_t now_ns;
        uint64_t need;       /* bytes of a frame of the mode in use */
        uint64_t slot_bytes; /* of the ring in use */
        uint64_t ring_bytes; /* of the ring in use, all of it */
        uint32_t n_old;      /* replaced rings that somebody still has */
        uint64_t old_bytes;  /* theirs, all of them */
};

/* All zero to begin with. */
struct generation {
        uint64_t small_since_ns; /* since when a quarter is enough; 0: it is not */
};

/**
 * generation_next() - stay, or another ring?
 * @ret_slot_bytes: capacity of the other ring's slots, whole pages; written for GROW and SHRINK
 *
 * Call for every frame, and now and then in between. The ring in use counts toward the limits, because clients have it
 * until they have been told.
 */
enum generation_move generation_next(struct generation *g, const struct generation_config *config,
        const struct generation_facts *facts, uint64_t *ret_slot_bytes);

/* Is there room for one more ring of this capacity beside all that exist? */
bool generation_fits(const struct generation_config *config, const struct generation_facts *facts,
        uint64_t slot_bytes);

#endif /* VGPUD_GENERATION_H */
