/*
 * lease_test.c - which slots are held, case by case, and against clients that store what they like
 *
 * A case is a list of steps. FRAME is what the publisher does for each: it takes the slot that lease_choose() names,
 * publishes into it and looks at every client. KEPT and GONE ask about pixels: is the frame of that serial still in
 * its slot?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

#define CLIENTS     3
#define MAX_STEPS   40
#define MAX_SERIALS 64
#define MS          UINT64_C(1000000)

enum op {
        END,
        FRAME_,
        PUBLISH_, /* without a look */
        ABORT_,
        LOOK_,
        HOLD_,
        FREE_,
        ALL_HOLD_, /* in every word of the page */
        GARBAGE_,
        LEAVE_,
        PASS_,
        KEPT_,
        GONE_,
        LOST_,
        HELD_,
};

struct step {
        enum op op;
        uint32_t client;
        uint64_t arg;
};

/* clang-format off */
#define FRAME              { FRAME_, 0, 0 }
#define PUBLISH            { PUBLISH_, 0, 0 }
#define ABORT              { ABORT_, 0, 0 }
#define LOOK               { LOOK_, 0, 0 }
#define HOLD(client, n)    { HOLD_, client, n }
#define FREE(client, n)    { FREE_, client, n }
#define HOLD_ALL(client, n) { ALL_HOLD_, client, n }
#define GARBAGE(client)    { GARBAGE_, client, 0 }
#define LEAVE(client)      { LEAVE_, client, 0 }
#define PASS(ms)           { PASS_, 0, (ms) * MS }
#define KEPT(n)            { KEPT_, 0, n }
#define GONE(n)            { GONE_, 0, n }
#define LOST(client, n)    { LOST_, client, n }
#define HELD(n)            { HELD_, 0, n }
/* clang-format on */

struct world {
        struct lease_book book;
        uint64_t now_ns;
        uint64_t serial;
        uint32_t slot_of[MAX_SERIALS];
        struct {
                uint64_t hold[VGPU_PAGE_HOLDS];
                uint32_t standing;
                uint64_t lost;
        } client[CLIENTS];
};

static uint64_t word_of(const struct world *w, uint64_t serial)
{
        return VGPU_RING_WORD(serial, w->slot_of[serial % MAX_SERIALS]);
}

static bool is_kept(const struct world *w, uint64_t serial)
{
        return w->book.word[w->slot_of[serial % MAX_SERIALS]] == word_of(w, serial);
}

static uint32_t open_slot(struct world *w)
{
        uint32_t slot = lease_choose(&w->book);

        assert_true(slot < w->book.n_slots);
        assert_int_not_equal(slot, w->book.newest);
        assert_false(w->book.honoured & UINT32_C(1) << slot);
        lease_open(&w->book, slot);
        return slot;
}

static void publish(struct world *w)
{
        uint32_t slot = open_slot(w);

        w->serial++;
        w->slot_of[w->serial % MAX_SERIALS] = slot;
        lease_publish(&w->book, slot, word_of(w, w->serial));
}

static void look(struct world *w)
{
        uint32_t limit = w->book.n_slots - 2;

        lease_look_begin(&w->book, w->now_ns);
        for (int i = 0; i < CLIENTS; i++)
                w->client[i].lost += lease_look(
                        &w->book, &w->client[i].standing, w->client[i].hold, VGPU_PAGE_HOLDS);
        lease_look_end(&w->book);
        assert_true((uint32_t)__builtin_popcount(w->book.honoured) <= limit);
}

static void garbage(uint64_t *hold)
{
        static const uint64_t words[VGPU_PAGE_HOLDS] = { UINT64_MAX, 0xFF, 1, 0x0101010101010101,
                VGPU_RING_WORD(1, 15), VGPU_RING_WORD(0, 3), VGPU_RING_WORD(UINT64_MAX, 16) };

        memcpy(hold, words, sizeof(words));
}

static void run(struct world *w, const struct step *s)
{
        uint64_t *hold = w->client[s->client].hold;

        switch (s->op) {
        case END:
                break;
        case FRAME_:
                publish(w);
                look(w);
                break;
        case PUBLISH_:
                publish(w);
                break;
        case ABORT_:
                open_slot(w);
                break;
        case LOOK_:
                look(w);
                break;
        case HOLD_:
                hold[s->arg % VGPU_PAGE_HOLDS] = word_of(w, s->arg);
                break;
        case FREE_:
                hold[s->arg % VGPU_PAGE_HOLDS] = 0;
                break;
        case ALL_HOLD_:
                for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                        hold[i] = word_of(w, s->arg);
                break;
        case GARBAGE_:
                garbage(hold);
                break;
        case LEAVE_:
                memset(&w->client[s->client], 0, sizeof(w->client[0]));
                break;
        case PASS_:
                w->now_ns += s->arg;
                break;
        case KEPT_:
                assert_true(is_kept(w, s->arg));
                break;
        case GONE_:
                assert_false(is_kept(w, s->arg));
                break;
        case LOST_:
                assert_int_equal(w->client[s->client].lost, s->arg);
                break;
        case HELD_:
                assert_int_equal(__builtin_popcount(w->book.honoured), s->arg);
                break;
        }
}

static const struct {
        const char *name;
        uint32_t slots;
        uint64_t lease_ns;
        struct step step[MAX_STEPS];
} cases[] = {
        { "a frame that nobody holds gives way", 3, 100 * MS,
                { FRAME, FRAME, FRAME, KEPT(1), FRAME, GONE(1), HELD(0) } },
        { "a hold that stood when the frame was the newest keeps it", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HELD(1), FRAME, FRAME, FRAME, FRAME, KEPT(1),
                        LOST(0, 0) } },
        { "a hold set after the first look is too late", 4, 100 * MS,
                { FRAME, FRAME, HOLD(0, 1), FRAME, HELD(0), FRAME, FRAME, GONE(1), LOST(0, 0) } },
        { "a hold that is let go frees the slot at the next look", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, FRAME, FRAME, KEPT(1), FREE(0, 1), FRAME, HELD(0),
                        FRAME, GONE(1), LOST(0, 0) } },
        { "letting go and setting it again is too late", 4, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HELD(1), FREE(0, 1), FRAME, HOLD(0, 1), FRAME, HELD(0),
                        FRAME, GONE(1), LOST(0, 0) } },
        { "a hold let go and set again between two looks was never seen to go", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, FREE(0, 1), HOLD(0, 1), FRAME, FRAME, FRAME,
                        KEPT(1) } },
        { "storing a hold again renews nothing", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, PASS(60), FREE(0, 1), HOLD(0, 1), FRAME, PASS(40),
                        HOLD(0, 1), FRAME, HELD(0), LOST(0, 1), FRAME, GONE(1) } },
        { "age counts from when the frame stopped being the newest, not from the hold", 3, 100 * MS,
                { FRAME, HOLD(0, 1), PASS(5000), FRAME, PASS(99), FRAME, HELD(1), PASS(1), FRAME,
                        HELD(0), LOST(0, 1) } },
        { "a hold that expired is lost once, however long it stays there", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, PASS(100), FRAME, LOST(0, 1), FRAME, FRAME, PASS(100),
                        FRAME, LOST(0, 1), GONE(1) } },
        { "each client whose hold expired lost one", 3, 100 * MS,
                { FRAME, HOLD(0, 1), HOLD(1, 1), FRAME, PASS(100), FRAME, LOST(0, 1), LOST(1, 1),
                        LOST(2, 0) } },
        { "a hold that was let go in time is not lost", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, PASS(100), FREE(0, 1), FRAME, LOST(0, 0), HELD(0) } },
        { "several holders of a frame are one slot", 3, 100 * MS,
                { FRAME, HOLD(0, 1), HOLD(1, 1), HOLD(2, 1), FRAME, HELD(1), FREE(0, 1), FREE(1, 1),
                        FRAME, FRAME, FRAME, KEPT(1), FREE(2, 1), FRAME, FRAME, GONE(1) } },
        { "holds that clients hand to each other keep nothing", 4, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HELD(1), FREE(0, 1), HOLD(1, 1), FRAME, HELD(0),
                        FREE(1, 1), HOLD(2, 1), FRAME, HELD(0), FRAME, GONE(1) } },
        { "one page full of one frame is one hold", 4, 100 * MS,
                { FRAME, HOLD_ALL(0, 1), FRAME, FRAME, HELD(1), PASS(100), FRAME, LOST(0, 1) } },
        { "over the limit, the frame that was retired first loses", 4, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HOLD(1, 2), FRAME, HELD(2), HOLD(2, 3), FRAME, HELD(2),
                        FRAME, GONE(1), KEPT(2), KEPT(3), LOST(0, 1), LOST(1, 0), LOST(2, 0) } },
        { "of three slots one can be held", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HOLD(0, 2), FRAME, HELD(1), FRAME, GONE(1), KEPT(2),
                        LOST(0, 1) } },
        { "one client cannot have more than the limit either", 4, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HOLD(0, 2), FRAME, HOLD(0, 3), FRAME, HOLD(0, 4), FRAME,
                        HOLD(0, 5), FRAME, HELD(2), LOST(0, 2), FRAME, LOST(0, 3), KEPT(4),
                        KEPT(5) } },
        { "what the limit took stays lost when there is room again", 4, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HOLD(1, 2), FRAME, HOLD(2, 3), FRAME, FREE(1, 2),
                        FREE(2, 3), LOOK, LOST(0, 1), HELD(0), LOOK, HELD(0), FRAME, GONE(1),
                        LOST(0, 1) } },
        { "a hold on the newest frame alone is none, and takes no place", 3, 100 * MS,
                { FRAME, HOLD(0, 1), LOOK, HELD(0), PASS(500), LOOK, LOST(0, 0), FRAME, HELD(1) } },
        { "a client that leaves holds nothing from the next look on", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HELD(1), LEAVE(0), FRAME, HELD(0), FRAME, GONE(1) } },
        { "garbage holds nothing", 4, 100 * MS,
                { GARBAGE(0), GARBAGE(1), FRAME, FRAME, FRAME, FRAME, FRAME, HELD(0), LOST(0, 0),
                        LOST(1, 0) } },
        { "frames that were given up move neither holds nor the newest", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, ABORT, ABORT, KEPT(1), KEPT(2), HELD(1), ABORT, FRAME,
                        KEPT(1), KEPT(2), HELD(1) } },
        { "a frame that was given up cannot be held", 3, 100 * MS,
                { FRAME, FRAME, FRAME, ABORT, HOLD(0, 1), LOOK, HELD(0), FRAME, HELD(0) } },
        { "a frame retired before a look that did not come is seen at the next", 4, 100 * MS,
                { FRAME, HOLD(0, 1), PUBLISH, FRAME, HELD(1), FRAME, FRAME, FRAME, KEPT(1) } },
        { "frames without looks never run out of slots", 3, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, HELD(1), PUBLISH, PUBLISH, PUBLISH, PUBLISH, KEPT(1),
                        LOOK, HELD(1) } },
        { "a slot that was given up is the first to be written again", 4, 100 * MS,
                { FRAME, HOLD(0, 1), FRAME, FRAME, FRAME, ABORT, GONE(2), FREE(0, 1), LOOK, HELD(0),
                        FRAME, KEPT(1), KEPT(3), KEPT(4) } },
        { "a slot written again is not the one that was retired", 3, 100 * MS,
                { FRAME, FRAME, FRAME, PUBLISH, PUBLISH, PUBLISH, HOLD(0, 6), LOOK, HELD(0), FRAME,
                        HELD(1) } },
        { "a lease time of nothing honours nothing", 4, 0,
                { FRAME, HOLD(0, 1), FRAME, HELD(0), FRAME, FRAME, FRAME, GONE(1) } },
};

static void every_case_ends_as_it_should(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct world w = { .now_ns = 7 };

                print_message("%s\n", cases[i].name);
                lease_init(&w.book, cases[i].slots, cases[i].lease_ns);
                for (const struct step *s = cases[i].step; s->op != END; s++)
                        run(&w, s);
        }
}

/* What a client that wants to harm would store: words near the real ones, at any moment. */
static void scribble(struct world *w, uint32_t client)
{
        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++) {
                uint64_t serial = w->serial - (uint64_t)rand() % 8;

                if (rand() % 3 == 0)
                        w->client[client].hold[i] = rand() % 4 ? word_of(w, serial) : 0;
        }
}

/*
 * The one promise to a holder: it is told. Client 0 keeps to the rules, the others do not; if a frame it holds is
 * overwritten, that was counted, at the latest at the look after.
 */
static void no_held_frame_is_overwritten_uncounted(void **state)
{
        uint64_t told = 0, kept = 0;

        (void)state;
        srand(4);
        for (uint32_t slots = VGPU_RING_MIN_SLOTS; slots <= VGPU_RING_MAX_SLOTS; slots++) {
                struct world w = { 0 };
                uint64_t holding = 0, lost = 0;

                lease_init(&w.book, slots, 20 * MS);
                for (int i = 0; i < 20000; i++) {
                        scribble(&w, 1 + (uint32_t)rand() % 2);
                        w.now_ns += (uint64_t)rand() % (3 * MS);
                        if (rand() % 5 == 0)
                                open_slot(&w);
                        publish(&w);
                        look(&w);
                        if (w.client[0].lost != lost) {
                                lost = w.client[0].lost;
                                told++;
                                holding = w.client[0].hold[0] = 0;
                        }
                        if (holding != 0) {
                                assert_true(is_kept(&w, holding));
                                kept++;
                        }
                        if (holding != 0 && rand() % 6 == 0)
                                holding = w.client[0].hold[0] = 0;
                        else if (holding == 0) {
                                holding = w.serial;
                                w.client[0].hold[0] = word_of(&w, holding);
                        }
                }
        }
        assert_true(told > 100 && kept > 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_case_ends_as_it_should),
                cmocka_unit_test(no_held_frame_is_overwritten_uncounted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
