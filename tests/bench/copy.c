/*
 * copy.c - vgpu-bench-copy: what taking a frame costs, beside what moving its bytes costs at least
 *
 * `script/bench copy` builds and runs it; docs/performance.md says what the figures mean.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "copy_hand.h"
#include "copy_scene.h"
#include "options.h"
#include "systemd/journal.h"

#define DEFAULT_ROUNDS 15u
#define RING_SLOTS     4u
#define CHUNK_BYTES    (UINT64_C(2) << 20) /* as the daemon's stream rechecks */
#define MAX_HANDS      7u
#define PATIENCE       10u
#define DUE_US         200 /* that a frame is waited for */
#define MAX_TURNS      (2 * MAX_HANDS + VGPU_N_COPIES + 4u)

/* What the bar says; the other rows have none. */
#define TARGET_SAMPLE 1.10
#define TARGET_WALK   0.03
#define TARGET_CARET  0.02

static const char about[] =
        "Takes frames of a simulated guest as the daemon does, beside copies written by hand over\n"
        "exactly the same pages of the same RAM file, all in turn and out of cold caches: 1080p "
        "and\n"
        "4K, in contiguous, 2 MiB and scattered 4 KiB pages.\n";

static const struct {
        const char *name;
        uint32_t width, height;
} modes[] = { { "1080p", 1920, 1080 }, { "4K", 3840, 2160 } };

static const struct {
        const char *name;
        enum machine_paging paging;
} pagings[] = { { "contiguous", MACHINE_CONTIGUOUS }, { "2 MiB pages", MACHINE_LARGE },
        { "4 KiB scattered", MACHINE_SCATTER } };

struct bench {
        struct copy_scene *scene;
        uint8_t *slots; /* what hand copies go into: as large as a ring */
        const uint8_t **page;
        size_t n_pages;
        unsigned n_copies;
        long interruptions; /* before what is measured now */
        struct copy_helper *helper;
        unsigned patience; /* how often something is measured until nothing came between */
        struct bench_row *hand[MAX_HANDS], *two_hands[MAX_HANDS];
        struct bench_row *gather[VGPU_N_COPIES], *gather_read[VGPU_N_COPIES];
        struct bench_row *take, *take_by_two, *take_by_woken, *walk, *caret;
};

static double now_us(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static _Noreturn void give_up(const char *what)
{
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
        exit(1);
}

/* How often this thread had to let another run. */
static long interruptions(void)
{
        struct rusage usage;

        getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nivcsw;
}

/* What is timed begins here, after all that was only to prepare it. */
static double start(struct bench *b)
{
        b->interruptions = interruptions();
        return now_us();
}

/* The first round only makes everything warm. Return: does it count? */
static bool keep(const struct bench *b, struct bench_row *row, unsigned round, double us)
{
        if (b->patience > 1 && interruptions() != b->interruptions)
                return false;
        if (round > 0)
                bench_row_sample(row, round - 1, us);
        return true;
}

static uint8_t *next_slot(struct bench *b)
{
        return b->slots + b->n_copies++ % RING_SLOTS * b->scene->frame_bytes;
}

static void begin(struct bench *b, struct vgpup_sample *sample)
{
        copy_scene_produce(b->scene, NULL);
        copy_scene_cool(b->scene);
        if (vgpup_sample_begin(
                    b->scene->view.region, &b->scene->mem, b->scene->frame_bytes, sample) != 1)
                give_up("the frame cannot be taken");
}

/* RAM of 1 GiB begins at 0 and has no hole, so an address is an offset in the file. */
static void list_pages(struct bench *b, const struct vgpup_sample *sample)
{
        b->n_pages = 0;
        for (size_t i = 0; i < sample->n_extents; i++)
                for (uint64_t at = 0; at < sample->extents[i].len; at += HAND_PAGE)
                        b->page[b->n_pages++] = b->scene->ram + sample->extents[i].gpa + at;
        for (size_t i = 0; i < HAND_AHEAD; i++)
                b->page[b->n_pages + i] = b->page[b->n_pages - 1];
}

static bool measure_hand(struct bench *b, unsigned round, size_t which, unsigned n_threads)
{
        struct vgpup_sample sample;
        struct hand_frame f;
        double took_us;

        begin(b, &sample);
        list_pages(b, &sample);
        f = (struct hand_frame){ b->page, b->n_pages, next_slot(b) };
        copy_scene_cool(b->scene);
        if (n_threads > 1 && !hand_helper_start())
                give_up("no second thread");
        took_us = start(b);
        hand_copy(&hands[which], &f, n_threads);
        took_us = now_us() - took_us;
        if (n_threads > 1)
                hand_helper_stop();
        return keep(b, n_threads > 1 ? b->two_hands[which] : b->hand[which], round, took_us);
}

static int gather(struct bench *b, const struct vgpup_sample *sample, uint8_t *dst, uint64_t from,
        uint64_t to)
{
        static struct gva_extent part[CHUNK_BYTES / GVA_PAGE_BYTES + 1];
        size_t n = 0;

        for (size_t i = 0; i < sample->n_extents; i++) {
                struct gva_extent e = sample->extents[i];
                uint64_t skip = e.offset < from ? from - e.offset : 0;

                if (e.offset >= to || e.offset + e.len <= from)
                        continue;
                e.gpa += skip;
                e.offset += skip;
                e.len -= skip;
                if (e.offset + e.len > to)
                        e.len = to - e.offset;
                part[n++] = e;
        }
        return vgpu_source_gather(b->scene->source, part, n, 0, dst);
}

/* The daemon's own steps one by one: what each kind of copy takes, and what is beside it. */
struct steps {
        double copying_us, beside_us, reading_us;
};

static struct steps take_steps(struct bench *b, enum vgpu_copy way)
{
        struct copy_scene *s = b->scene;
        struct steps t = { 0 };
        double from_us, to_us;
        struct vgpup_sample sample;
        uint8_t *dst = next_slot(b);

        vgpu_source_set_copy(s->source, way);
        copy_scene_produce(s, NULL);
        copy_scene_cool(s);
        from_us = start(b);
        if (vgpup_sample_begin(s->view.region, &s->mem, s->frame_bytes, &sample) != 1)
                give_up("the frame cannot be taken");
        t.beside_us = now_us() - from_us;
        for (uint64_t at = 0; at < sample.bytes; at += CHUNK_BYTES) {
                uint64_t end = at + CHUNK_BYTES < sample.bytes ? at + CHUNK_BYTES : sample.bytes;

                from_us = now_us();
                gather(b, &sample, dst, at, end);
                to_us = now_us();
                t.copying_us += to_us - from_us;
                if (end < sample.bytes)
                        vgpup_sample_recheck(s->view.region, &s->mem, &sample, at, end - at);
                t.beside_us += now_us() - to_us;
        }
        from_us = now_us();
        if (vgpup_sample_commit(s->view.region, &s->mem, &sample) != 1)
                give_up("the frame does not count");
        to_us = now_us();
        t.beside_us += to_us - from_us;
        copy_scene_read(dst, sample.bytes);
        t.reading_us = now_us() - to_us;
        vgpu_source_set_copy(s->source, VGPU_COPY_AUTO);
        return t;
}

static bool measure_steps(struct bench *b, unsigned round, enum vgpu_copy way)
{
        struct steps t = take_steps(b, way);

        if (!keep(b, b->gather[way], round, t.copying_us))
                return false;
        keep(b, b->gather_read[way], round, t.reading_us);
        if (way == VGPU_COPY_AUTO)
                keep(b, b->walk, round, t.beside_us);
        return true;
}

/* As the daemon waits for a frame that is due: its helper waits, too. */
static void wait_for_frame(struct stream *s)
{
        double from_us = now_us(), next_us = from_us;

        while (next_us < from_us + DUE_US) {
                stream_expect(s);
                next_us += 10;
                while (now_us() < next_us)
                        ;
        }
}

/* All of it, as the daemon does it: look, walk, copy, recheck, publish, wake. */
static bool measure_look(
        struct bench *b, struct bench_row *row, unsigned round, const vgpu_rect_t *damage)
{
        struct copy_scene *s = b->scene;
        uint64_t frames = s->stream.counters.frames;
        enum pacer_saw saw;
        double took_us;

        copy_scene_produce(s, damage);
        copy_scene_cool(s);
        if (row == b->take_by_two)
                wait_for_frame(&s->stream);
        took_us = start(b);
        if (stream_look(&s->stream, &s->view, &saw) < 0)
                give_up("the frame cannot be taken");
        took_us = now_us() - took_us;
        /* one that came late on a busy machine was thrown away */
        return s->stream.counters.frames == frames + 1 && keep(b, row, round, took_us);
}

/* In a stream of frames that are as large. */
static bool measure_look_by_two(struct bench *b, struct bench_row *row, unsigned round)
{
        struct stream *s = &b->scene->stream;
        struct copy_helper *helper = b->helper;
        bool counts;

        s->helper = helper;
        s->large = true;
        counts = measure_look(b, row, round, NULL);
        s->helper = NULL;
        return counts;
}

/* What a text editor does twice a second. The slots get there by frames that are not counted. */
static bool measure_caret(struct bench *b, unsigned round)
{
        const vgpu_rect_t caret = { 601, 407, 2, 32 };

        copy_scene_produce(b->scene, NULL);
        for (unsigned i = 0; i <= RING_SLOTS; i++) {
                enum pacer_saw saw;

                if (stream_look(&b->scene->stream, &b->scene->view, &saw) < 0)
                        give_up("the frame cannot be taken");
                copy_scene_produce(b->scene, &caret);
        }
        if (stream_look(&b->scene->stream, &b->scene->view, &(enum pacer_saw){ 0 }) < 0)
                give_up("the frame cannot be taken");
        return measure_look(b, b->caret, round, &caret);
}

static void add_rows(
        struct bench *b, struct bench_table *t, const char *group, bool scattered, bool large)
{
        static const char *const ways[] = { "as the daemon chooses", "plain", "past caches",
                "rep movsb" };

        for (size_t i = 0; i < n_hands; i++)
                b->hand[i] = bench_row_add(t, group, "by hand: %s", hands[i].name);
        for (size_t i = 0; i < n_hands; i++)
                b->two_hands[i] = bench_row_add(t, group, "by two hands: %s", hands[i].name);
        for (unsigned i = 0; i < VGPU_N_COPIES; i++) {
                b->gather[i] = bench_row_add(t, group, "gather: %s", ways[i]);
                b->gather_read[i] = bench_row_add(t, group, "... read by one client then");
        }
        b->walk = bench_row_add(t, group, "walk and revalidation");
        bench_row_against(b->walk, b->gather[VGPU_COPY_AUTO]);
        if (scattered)
                bench_row_at_most(b->walk, BENCH_OF_RATIO, TARGET_WALK);
        b->take = bench_row_add(t, group, "sample and publish");
        b->take_by_two = bench_row_add(t, group, "sample and publish, 2 threads");
        b->take_by_woken = bench_row_add(t, group, "sample and publish, 2 threads, one asleep");
        b->caret = bench_row_add(t, group, "sample and publish a caret");
        bench_row_against(b->caret, b->take);
        if (large)
                bench_row_at_most(b->caret, BENCH_OF_RATIO, TARGET_CARET);
}

static const struct bench_row *best_of(struct bench_row *const *row, size_t n)
{
        const struct bench_row *best = NULL;

        for (size_t i = 0; i < n; i++)
                if (row[i]->n_samples > 0 && (!best || bench_row_figures(row[i]).median <
                                                               bench_row_figures(best).median))
                        best = row[i];
        return best;
}

static void hold_against(struct bench_row *row, const struct bench_row *best)
{
        bench_row_at_most(row, BENCH_OF_RATIO, TARGET_SAMPLE);
        if (!best)
                return;
        bench_row_against(row, best);
        bench_row_note(row, "the best %s", best->name);
}

/* What is measured in a round; of the copies by hand one after the other. */
enum step {
        STEP_HAND,
        STEP_TWO_HANDS,
        STEP_GATHER,
        STEP_TAKE,
        STEP_TAKE_BY_TWO,
        STEP_TAKE_BY_WOKEN,
        STEP_CARET
};

struct turn {
        enum step step;
        unsigned which; /* of the step's kinds */
};

static bool measure_once(struct bench *b, unsigned round, const struct turn *t)
{
        switch (t->step) {
        case STEP_HAND:
                return measure_hand(b, round, t->which, 1);
        case STEP_TWO_HANDS:
                return measure_hand(b, round, t->which, 2);
        case STEP_GATHER:
                return measure_steps(b, round, t->which);
        case STEP_TAKE:
                return measure_look(b, b->take, round, NULL);
        case STEP_TAKE_BY_TWO:
                return measure_look_by_two(b, b->take_by_two, round);
        case STEP_TAKE_BY_WOKEN:
                return measure_look_by_two(b, b->take_by_woken, round);
        case STEP_CARET:
                return measure_caret(b, round);
        }
        return true;
}

/* On a machine that does other things as well, again until nothing came between. */
static void measure_one(struct bench *b, unsigned round, const struct turn *t)
{
        bool counts = false;

        for (unsigned i = 0; i < (round > 0 ? b->patience : 1) && !counts; i++)
                counts = measure_once(b, round, t);
}

static unsigned list_turns(const struct bench *b, struct turn turns[MAX_TURNS])
{
        unsigned n = 0;

        for (unsigned i = 0; i < n_hands; i++) {
                if (hands[i].usable && !hands[i].usable()) {
                        bench_row_note(b->hand[i], "not on this processor");
                        continue;
                }
                turns[n++] = (struct turn){ STEP_HAND, i };
                turns[n++] = (struct turn){ STEP_TWO_HANDS, i };
        }
        for (unsigned i = 0; i < VGPU_N_COPIES; i++)
                turns[n++] = (struct turn){ STEP_GATHER, i };
        turns[n++] = (struct turn){ STEP_TAKE, 0 };
        turns[n++] = (struct turn){ STEP_TAKE_BY_TWO, 0 };
        turns[n++] = (struct turn){ STEP_TAKE_BY_WOKEN, 0 };
        turns[n++] = (struct turn){ STEP_CARET, 0 };
        return n;
}

/* In turn, beginning with another each round: whoever comes first finds the machine as the last one left it. */
static void measure_round(struct bench *b, unsigned round)
{
        struct turn turns[MAX_TURNS];
        unsigned n = list_turns(b, turns);

        for (unsigned i = 0; i < n; i++)
                measure_one(b, round, &turns[(i + round) % n]);
}

static void measure_scene(
        struct bench_table *t, size_t mode, size_t paging, const struct bench_options *o)
{
        static struct copy_scene scene;
        static const struct vgpu_config config = { .ring = { .max_bytes = UINT64_C(2) << 30,
                                                           .slots = RING_SLOTS,
                                                           .mode = 0600,
                                                           .max_clients = 1 } };
        struct bench b = { .scene = &scene, .patience = o->quick ? 1 : PATIENCE };
        char group[BENCH_NAME];
        uint64_t bytes;

        snprintf(group, sizeof(group), "%s, %s", modes[mode].name, pagings[paging].name);
        copy_scene_open(
                &scene, modes[mode].width, modes[mode].height, pagings[paging].paging, &config);
        bytes = RING_SLOTS * scene.frame_bytes;
        b.slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        b.page = calloc(scene.frame_bytes / HAND_PAGE + 1 + HAND_AHEAD, sizeof(*b.page));
        if (b.slots == MAP_FAILED || !b.page)
                give_up("no memory for frames");
        if (copy_helper_new(&b.helper) < 0)
                give_up("no second thread");
        memset(b.slots, 1, bytes);
        add_rows(
                &b, t, group, pagings[paging].paging == MACHINE_SCATTER, modes[mode].height > 2000);
        for (unsigned round = 0; round <= o->rounds; round++) {
                bench_progress("%s, round %u of %u", group, round, o->rounds);
                measure_round(&b, round);
        }
        bench_row_against(b.gather[VGPU_COPY_AUTO], best_of(b.hand, n_hands));
        hold_against(b.take, best_of(b.hand, n_hands));
        hold_against(b.take_by_two, best_of(b.two_hands, n_hands));
        hold_against(b.take_by_woken, best_of(b.two_hands, n_hands));
        copy_helper_free(b.helper);
        free(b.page);
        munmap(b.slots, bytes);
        copy_scene_close(&scene);
}

int main(int argc, char **argv)
{
        struct bench_options options = { .rounds = DEFAULT_ROUNDS };
        static struct bench_report report; /* reachable at the end: nobody frees it */
        struct bench_table *t;

        bench_options_take(&options, argc, argv, about);
        bench_print_machine();
        journal_set_level(LOG_WARNING);
        t = bench_table_add(&report, "copy", "us", "Taking a frame, and moving its bytes by hand");
        for (size_t mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++)
                for (size_t paging = 0; paging < sizeof(pagings) / sizeof(pagings[0]); paging++)
                        measure_scene(t, mode, paging, &options);
        bench_progress(NULL);
        return bench_report_write(&options, &report);
}
