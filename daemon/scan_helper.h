/*
 * scan_helper.h - a second thread for a search of everybody
 *
 * Such a search waits for memory most of its time (perception/vgpu/glances.h). It is made while there are no frames, so the second
 * processor is there to be used; where it is not, the helper waits behind others and the search takes as long as alone.
 */
#ifndef VGPUD_SCAN_HELPER_H
#define VGPUD_SCAN_HELPER_H

#include <uv.h>

#include "vgpu_perception.h"

struct scan_helper {
        struct vgpup_helper helper; /* for vgpup_discover() */
        uint64_t took_ns;           /* processor time so far */

        /* private */
        uv_thread_t thread;
        void (*work)(void *arg);
        void *arg;
};

/* On caller memory; there is a thread only while it helps, so nothing is left to be undone. */
void scan_helper_init(struct scan_helper *h);

#endif /* VGPUD_SCAN_HELPER_H */
