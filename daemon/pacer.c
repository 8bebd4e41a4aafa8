/* pacer.c - see pacer.h */
#include "pacer.h"

void pacer_init(struct pacer *p, const struct pacer_config *config, uint64_t now_ns)
{
        *p = (struct pacer){ .config = *config, .last_frame_ns = now_ns };
}

uint64_t pacer_next(struct pacer *p, enum pacer_saw saw, uint64_t now_ns)
{
        const struct pacer_config *c = &p->config;
        uint64_t next;

        if (saw == PACER_SAW_FRAME)
                p->last_frame_ns = now_ns;
        next = now_ns +
               (now_ns - p->last_frame_ns >= PACER_IDLE_AFTER_NS ? c->idle_ns : c->poll_ns);
        if (next < p->last_frame_ns + c->min_frame_ns)
                next = p->last_frame_ns + c->min_frame_ns;
        return next;
}
