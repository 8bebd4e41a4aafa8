/*
 * pacer_test.c - when the daemon looks, without a clock: promises on single looks, and on whole arrival traces
 *
 * Prints what each trace costs and brings in each mode, beside a look every millisecond. All of it is simulated, so that
 * the figures are the same everywhere; recorded traces are in tests/pacer.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "pacer_sim.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

#define LATENCIES 3

static const char *const names[LATENCIES] = { "low", "balanced", "powersave" };

static struct pacer_config config_of(enum config_latency latency)
{
        return (struct pacer_config){ .latency = latency, .min_frame_ns = S / 240 };
}

/* ---- single looks ---------------------------------------------------------------------------------------------------- */

static void a_quiet_guest_is_looked_at_ever_more_rarely_down_to_a_limit(void **state)
{
        (void)state;
        for (int l = 0; l < LATENCIES; l++) {
                struct pacer_config config = config_of((enum config_latency)l);
                uint64_t now = 5 * S, last = 0;
                struct pacer p;

                pacer_init(&p, &config, now);
                while (now < 10 * S) {
                        uint64_t at = pacer_next(&p, PACER_SAW_NOTHING, now, now + US).at_ns;

                        assert_true(at - now + 2 * US >= last);
                        last = at - now;
                        now = at;
                }
                assert_int_equal(last - US, pacer_idle_ns(config.latency));
        }
}

static void one_frame_ends_the_idleness(void **state)
{
        struct pacer_config config = config_of(CONFIG_LATENCY_BALANCED);
        struct pacer p;

        (void)state;
        pacer_init(&p, &config, 0);
        pacer_next(&p, PACER_SAW_NOTHING, 4990 * MS, 4990 * MS);
        pacer_next(&p, PACER_SAW_FRAME, 5000 * MS, 5001 * MS);
        assert_true(pacer_next(&p, PACER_SAW_NOTHING, 5005 * MS, 5005 * MS).at_ns <= 5006 * MS);
}

static void copies_keep_to_max_fps_but_for_one_that_may_come_early(void **state)
{
        struct pacer_config config = { CONFIG_LATENCY_LOW, S / 100 };
        struct pacer p;
        uint64_t at;

        (void)state;
        pacer_init(&p, &config, 0);
        at = pacer_next(&p, PACER_SAW_FRAME, 500 * MS, 500 * MS).at_ns;
        assert_true(at < 510 * MS);
        assert_true(pacer_next(&p, PACER_SAW_FRAME, at, at).at_ns >= 510 * MS);
        assert_true(pacer_next(&p, PACER_SAW_NOTHING, 510 * MS, 510 * MS).at_ns < 520 * MS);
        assert_true(pacer_next(&p, PACER_SAW_FRAME, 511 * MS, 511 * MS).at_ns >= 520 * MS);
}

static void a_guest_that_makes_us_copy_every_time_is_held_to_max_fps(void **state)
{
        (void)state;
        for (int l = 0; l < LATENCIES; l++) {
                struct pacer_config config = config_of((enum config_latency)l);
                struct pacer p;
                uint64_t now = 0;
                int looks = 0;

                pacer_init(&p, &config, now);
                while (now < S) {
                        now = pacer_next(&p, PACER_SAW_FRAME, now, now).at_ns;
                        looks++;
                }
                assert_in_range(looks, 100, 242);
        }
}

static void a_copy_that_takes_longer_than_a_frame_leaves_no_debt(void **state)
{
        struct pacer_config config = config_of(CONFIG_LATENCY_BALANCED);
        struct pacer p;
        uint64_t now = 0;

        (void)state;
        pacer_init(&p, &config, now);
        for (int i = 0; i < 1000; i++)
                now = pacer_next(&p, PACER_SAW_FRAME, now, now + 30 * MS).at_ns;
        assert_true(now <= 1000 * (30 * MS + pacer_idle_ns(config.latency)));
}

static void whatever_is_seen_the_next_look_is_later_and_not_too_late(void **state)
{
        uint64_t random = 77;

        (void)state;
        for (int l = 0; l < LATENCIES; l++) {
                for (unsigned shift = 1; shift < 40; shift++) {
                        struct pacer_config config = config_of((enum config_latency)l);
                        uint64_t now = sim_random(&random, 100);
                        struct pacer p;

                        pacer_init(&p, &config, now);
                        for (int i = 0; i < 2000; i++) {
                                uint64_t look = now + sim_random(&random, UINT64_C(1) << shift);
                                enum pacer_saw saw = sim_random(&random, 1 + shift % 7) == 0
                                                             ? PACER_SAW_FRAME
                                                             : PACER_SAW_NOTHING;

                                now = look + sim_random(&random, UINT64_C(1) << shift % 24);
                                struct pacer_plan plan = pacer_next(&p, saw, look, now);

                                assert_true(plan.at_ns > now);
                                assert_true(plan.at_ns - now <=
                                            pacer_idle_ns(config.latency) + config.min_frame_ns);
                                now = plan.at_ns;
                        }
                }
        }
}

static void looks_that_never_find_anything_in_time_keep_to_their_rate(void **state)
{
        (void)state;
        for (int l = 0; l < LATENCIES; l++) {
                struct pacer_config config = { (enum config_latency)l, 1 };
                uint64_t random = 3, now = 0;
                unsigned looks = 0;
                struct pacer p;

                pacer_init(&p, &config, now);
                /* Frames at every other look, wherever that is: a guest that knows when we look. */
                for (; now < 4 * S; looks++)
                        now = pacer_next(&p,
                                sim_random(&random, 2) ? PACER_SAW_FRAME : PACER_SAW_NOTHING, now,
                                now)
                                      .at_ns;
                assert_true(looks <= 4 * pacer_most_looks(config.latency) + 64);
        }
}

/* ---- traces ---------------------------------------------------------------------------------------------------------- */

static void print_result(const char *mode, const struct sim_result *r)
{
        printf("        %-10s %8.1f %8.1f %8.0f %8.0f %8.0f %7zu %8.1f\n", mode,
                (double)r->n_looks / (double)r->n_seen, (double)r->n_wakes / (double)r->n_seen,
                (double)r->p50_ns / 1e3, (double)r->p99_ns / 1e3, (double)r->max_ns / 1e3,
                r->n_frames - r->n_seen, (double)r->waits_ns / 1e3 / (double)r->n_seen);
}

/* Most frames that no daemon could have had: published closer together than max_fps allows, or than a copy takes. */
static size_t too_close(const struct sim_trace *t)
{
        size_t n = 0;

        for (size_t i = 1; i < t->n; i++)
                n += t->at_ns[i] - t->at_ns[i - 1] < S / 240 + S / 480;
        return n;
}

/* What holds for every trace there is. */
static void must_keep_its_promises(
        const struct sim_trace *t, enum config_latency latency, const struct sim_result *r)
{
        assert_true(r->densest <= pacer_most_looks(latency) + 64);
        assert_true(r->copies <= 242);
        assert_true(r->n_seen > 0 && r->n_seen <= t->n);
        /* the wait, a late wake-up, and a copy of the one before */
        assert_true(r->max_ns <= pacer_idle_ns(latency) + S / 240 + 2 * MS);
}

static void run_all(
        const struct sim_trace *t, struct sim_result ret[LATENCIES], struct sim_result *fixed)
{
        printf("%s\n        %-10s %8s %8s %8s %8s %8s %7s %8s\n", t->name, "", "looks/f", "wakes/f",
                "p50 us", "p99 us", "max us", "missed", "spin/f");
        sim_run(t, NULL, fixed);
        print_result("every ms", fixed);
        for (int l = 0; l < LATENCIES; l++) {
                struct pacer_config config = config_of((enum config_latency)l);

                sim_run(t, &config, &ret[l]);
                print_result(names[l], &ret[l]);
                must_keep_its_promises(t, config.latency, &ret[l]);
        }
}

/* A beat that can be learned: fewer wake-ups than one a millisecond, each frame seen, and sooner. */
static void must_follow(const struct sim_trace *t)
{
        struct sim_result r[LATENCIES], fixed;

        run_all(t, r, &fixed);
        assert_true(r[CONFIG_LATENCY_BALANCED].n_wakes <= fixed.n_looks);
        assert_true(r[CONFIG_LATENCY_POWERSAVE].n_looks <= r[CONFIG_LATENCY_BALANCED].n_looks);
        assert_true(2 * r[CONFIG_LATENCY_BALANCED].p50_ns <= fixed.p50_ns);
        assert_true(r[CONFIG_LATENCY_LOW].p50_ns <= r[CONFIG_LATENCY_BALANCED].p50_ns + 10 * US);
        assert_true(r[CONFIG_LATENCY_BALANCED].n_frames - r[CONFIG_LATENCY_BALANCED].n_seen <=
                    too_close(t));
}

/* One that cannot: no worse than what needs no learning. */
static void must_cope(const struct sim_trace *t)
{
        struct sim_result r[LATENCIES], fixed;

        run_all(t, r, &fixed);
        assert_true(4 * r[CONFIG_LATENCY_BALANCED].n_wakes <= 5 * fixed.n_looks);
        assert_true(r[CONFIG_LATENCY_LOW].p50_ns <= fixed.p50_ns);
}

static struct sim_trace trace;

static void a_steady_producer_is_met(void **state)
{
        static const double rates[] = { 24, 30, 60, 120, 144 };
        char name[48];

        (void)state;
        for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
                snprintf(name, sizeof(name), "%.0f fps", rates[i]);
                sim_clock(&trace, name, rates[i], 20, 0, 0);
                must_follow(&trace);
        }
}

static void the_fastest_producer_that_is_allowed_is_met(void **state)
{
        struct sim_result r[LATENCIES], fixed;

        (void)state;
        sim_clock(&trace, "240 fps", 240, 20, 0, 0);
        run_all(&trace, r, &fixed);
        assert_true(2 * r[CONFIG_LATENCY_BALANCED].p50_ns <= fixed.p50_ns);
        assert_true(100 * r[CONFIG_LATENCY_BALANCED].n_seen >= 99 * r[0].n_frames);
}

static void a_clock_that_runs_differently_from_ours_is_followed(void **state)
{
        (void)state;
        sim_clock(&trace, "60 fps, clock 500 ppm fast", 60, 20, 0, 500);
        must_follow(&trace);
        sim_clock(&trace, "59.94 fps", 59.94, 50, 0, 0);
        must_follow(&trace);
}

static void jitter_widens_the_window_and_nothing_else(void **state)
{
        (void)state;
        sim_clock(&trace, "60 fps, jitter 250 us", 60, 250, 0, 0);
        must_follow(&trace);
        sim_clock(&trace, "60 fps, jitter 1 ms", 60, 1000, 0, 0);
        must_follow(&trace);
        sim_clock(&trace, "30 fps, jitter 4 ms", 30, 4000, 0, 0);
        must_cope(&trace);
}

static void a_dropped_frame_costs_the_next_one_nothing(void **state)
{
        (void)state;
        sim_clock(&trace, "60 fps, 3 % dropped", 60, 50, 30, 0);
        must_follow(&trace);
        sim_clock(&trace, "144 fps, 20 % dropped", 144, 50, 200, 0);
        must_cope(&trace);
}

static void a_frame_that_is_kept_back_moves_no_other(void **state)
{
        (void)state;
        sim_late(&trace, "60 fps, 10 % up to 3 ms late", 60, 100, 3000);
        must_follow(&trace);
        sim_late(&trace, "24 fps, 10 % up to 3 ms late", 24, 100, 3000);
        must_follow(&trace);
}

static void what_has_no_beat_is_no_worse_than_looking_every_millisecond(void **state)
{
        (void)state;
        sim_variable(&trace, "variable refresh, 40 to 144 Hz", 6944, 25000);
        must_cope(&trace);
        sim_variable(&trace, "a game, 45 to 75 fps", 13333, 22222);
        must_cope(&trace);
        sim_pulldown(&trace, "film, 24 fps at 60 Hz");
        must_cope(&trace);
}

static void a_quiet_desktop_costs_little_and_its_first_frame_is_not_late(void **state)
{
        struct sim_result r[LATENCIES], fixed;

        (void)state;
        sim_desktop(&trace, "desktop, bursts at 60 fps", 60);
        run_all(&trace, r, &fixed);
        assert_true(2 * r[CONFIG_LATENCY_BALANCED].n_wakes <= fixed.n_looks);
        assert_int_equal(r[CONFIG_LATENCY_BALANCED].n_seen, trace.n);
        assert_true(
                r[CONFIG_LATENCY_BALANCED].max_ns <= pacer_idle_ns(CONFIG_LATENCY_BALANCED) + MS);
}

static void a_producer_that_flips_at_random_gets_no_more_than_its_share(void **state)
{
        struct sim_result r[LATENCIES], fixed;

        (void)state;
        sim_restless(&trace, "restless");
        run_all(&trace, r, &fixed);
}

static void recorded_producers_are_met(void **state)
{
        static const char *const recorded[] = { "guest-24", "guest-60", "guest-120", "guest-240" };
        struct sim_result r[LATENCIES], fixed;
        char path[512], name[64];

        (void)state;
        for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
                snprintf(path, sizeof(path), PACER_TRACES "/%s.trace", recorded[i]);
                snprintf(name, sizeof(name), "recorded: %s", recorded[i]);
                assert_true(sim_load(&trace, path, name));
                run_all(&trace, r, &fixed);
                assert_true(r[CONFIG_LATENCY_BALANCED].n_wakes <= 2 * fixed.n_looks);
                assert_true(r[CONFIG_LATENCY_BALANCED].p50_ns <= fixed.p50_ns);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_quiet_guest_is_looked_at_ever_more_rarely_down_to_a_limit),
                cmocka_unit_test(one_frame_ends_the_idleness),
                cmocka_unit_test(copies_keep_to_max_fps_but_for_one_that_may_come_early),
                cmocka_unit_test(a_guest_that_makes_us_copy_every_time_is_held_to_max_fps),
                cmocka_unit_test(a_copy_that_takes_longer_than_a_frame_leaves_no_debt),
                cmocka_unit_test(whatever_is_seen_the_next_look_is_later_and_not_too_late),
                cmocka_unit_test(looks_that_never_find_anything_in_time_keep_to_their_rate),
                cmocka_unit_test(a_steady_producer_is_met),
                cmocka_unit_test(the_fastest_producer_that_is_allowed_is_met),
                cmocka_unit_test(a_clock_that_runs_differently_from_ours_is_followed),
                cmocka_unit_test(jitter_widens_the_window_and_nothing_else),
                cmocka_unit_test(a_dropped_frame_costs_the_next_one_nothing),
                cmocka_unit_test(a_frame_that_is_kept_back_moves_no_other),
                cmocka_unit_test(what_has_no_beat_is_no_worse_than_looking_every_millisecond),
                cmocka_unit_test(a_quiet_desktop_costs_little_and_its_first_frame_is_not_late),
                cmocka_unit_test(a_producer_that_flips_at_random_gets_no_more_than_its_share),
                cmocka_unit_test(recorded_producers_are_met),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
