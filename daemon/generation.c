/* generation.c - see generation.h */
#include "generation.h"

#define PAGE UINT64_C(4096)

static uint64_t max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t pages(uint64_t bytes)
{
        return (bytes + PAGE - 1) & ~(PAGE - 1);
}

bool generation_fits(const struct generation_config *config, const struct generation_facts *facts,
        uint64_t slot_bytes)
{
        uint64_t header = facts->ring_bytes - config->slots * facts->slot_bytes;
        uint64_t used = facts->ring_bytes + facts->old_bytes;

        return facts->n_old < config->max_old && used <= config->max_bytes &&
               header + config->slots * slot_bytes <= config->max_bytes - used;
}

static enum generation_move grow(const struct generation_config *config,
        const struct generation_facts *facts, uint64_t *ret_slot_bytes)
{
        uint64_t least = pages(facts->need);
        uint64_t wanted = max_u64(least, min_u64(2 * facts->slot_bytes, config->most_bytes));

        if (!generation_fits(config, facts, wanted))
                wanted = least;
        if (!generation_fits(config, facts, wanted))
                return GENERATION_REFUSE;
        *ret_slot_bytes = wanted;
        return GENERATION_GROW;
}

enum generation_move generation_next(struct generation *g, const struct generation_config *config,
        const struct generation_facts *facts, uint64_t *ret_slot_bytes)
{
        uint64_t enough = pages(max_u64(facts->need, config->least_bytes));

        if (enough > facts->slot_bytes / 4)
                g->small_since_ns = 0;
        else if (g->small_since_ns == 0)
                g->small_since_ns = facts->now_ns;
        if (facts->need > facts->slot_bytes)
                return grow(config, facts, ret_slot_bytes);
        if (g->small_since_ns == 0 || facts->now_ns - g->small_since_ns < config->shrink_after_ns ||
                facts->n_old > 0 || !generation_fits(config, facts, enough))
                return GENERATION_STAY;
        g->small_since_ns = 0;
        *ret_slot_bytes = enough;
        return GENERATION_SHRINK;
}
