/*
 * early.h - being awake before the frame is there (private to the library)
 */
#ifndef VGPU_CLIENT_EARLY_H
#define VGPU_CLIENT_EARLY_H

#include <stdbool.h>
#include <stdint.h>

#include "mapping.h"

struct early {
        uint64_t spin_ns;  /* per frame, at most; 0: as long as seems fit */
        uint32_t n_missed; /* announcements since the last one that a change followed */
        bool refused;      /* there is no futex_waitv(2) here */
};

/* @spin_us: as vgpu_client_options.spin_us. */
void early_init(struct early *e, uint32_t spin_us);

/* Does this ring announce its frames, and can we sleep on that? Needs the daemon's grant of VGPU_WANT_SOON, too. */
bool early_works(const struct early *e, const struct mapping *m);

/**
 * early_nap() - sleep until something changes, for a frame until shortly before
 * @wake, @soon: the header's words as they were before the look that found nothing new
 * @nap_ns:      the longest sleep
 *
 * Spins at most spin_ns, 10 ms if that is for us to say. A change that was not announced ends it as any other nap.
 *
 * Return: 0 (look again), or a negative errno (-EINTR).
 */
int early_nap(
        struct early *e, const struct mapping *m, uint32_t wake, uint32_t soon, uint64_t nap_ns);

#endif /* VGPU_CLIENT_EARLY_H */
