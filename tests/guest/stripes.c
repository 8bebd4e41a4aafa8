/* stripes.c - see stripes.h */
#include "stripes.h"

uint32_t stripes_row(const struct stripes *s, uint32_t stripe)
{
        return (uint32_t)((uint64_t)s->height * stripe / s->n);
}

uint32_t stripes_turn(const struct stripes *s, uint64_t frame_id)
{
        return (uint32_t)(frame_id % s->n);
}

/* Whose pattern a stripe shows. Before its first turn that is an id from before 1, which nobody ever had: as good as any. */
static uint64_t drawn_by(const struct stripes *s, uint32_t stripe, uint64_t frame_id)
{
        return frame_id - (stripes_turn(s, frame_id) + s->n - stripe) % s->n;
}

void stripes_draw(const struct stripes *s, void *pixels, uint64_t held, uint64_t frame_id)
{
        uint64_t missing = held == 0 || frame_id - held > s->n ? s->n : frame_id - held;

        for (uint64_t i = 0; i < missing; i++) {
                uint32_t stripe = stripes_turn(s, stripes_turn(s, frame_id) + s->n - i);
                uint32_t row = stripes_row(s, stripe);

                pattern_fill_rows((uint8_t *)pixels + (uint64_t)row * s->stride, row,
                        stripes_row(s, stripe + 1) - row, s->width, s->height, s->stride, s->format,
                        drawn_by(s, stripe, frame_id), s->seed);
        }
}

static void add(struct pattern_count *sum, const struct pattern_count *part)
{
        if (sum->torn == 0)
                sum->first_torn_id = part->first_torn_id;
        if (part->first_bad < sum->first_bad)
                sum->first_bad = part->first_bad;
        sum->good += part->good;
        sum->torn += part->torn;
        sum->foreign += part->foreign;
}

void stripes_check(const struct stripes *s, const void *pixels, uint64_t frame_id,
        struct pattern_count *ret_count)
{
        struct pattern_count sum = { .first_bad = UINT64_MAX }, part;

        for (uint32_t stripe = 0; stripe < s->n; stripe++) {
                uint32_t row = stripes_row(s, stripe);

                pattern_check_rows((const uint8_t *)pixels + (uint64_t)row * s->stride, row,
                        stripes_row(s, stripe + 1) - row, s->width, s->height, s->stride, s->format,
                        drawn_by(s, stripe, frame_id), s->seed, &part);
                add(&sum, &part);
        }
        *ret_count = sum;
}
