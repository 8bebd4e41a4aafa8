/*
 * hostile_writer_test.c - readers of a guest that really runs beside them, on another processor
 *
 * Two writers. One has no manners: it changes seqs, sizes, entries and process objects as fast as it can, and all that is
 * asked of the core is to come back, within a bound of reads, with an answer that is whole in itself. The other is an
 * operating system with a producer in it (restless_guest.h), and there not one foreign byte may come through.
 *
 * VGPUD_SOAK_SAMPLES=N takes N samples instead of as many as fit some seconds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hostile_calls.h"
#include "restless_guest.h"

#define SECONDS       10
#define CHAOS_SECONDS 4
#define MAX_REBINDS   1000000u

static uint64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- no manners ---- */

struct target {
        uint64_t gpa;
        uint64_t was;
};

struct vandal {
        struct fixture f;
        struct target targets[64];
        size_t n_targets;
        atomic_bool stop;
        atomic_uint_fast64_t n_changes;
        pthread_t thread;
};

static void aim(struct vandal *v, uint64_t gpa)
{
        gpa &= ~UINT64_C(7);
        assert_true(v->n_targets < sizeof(v->targets) / sizeof(v->targets[0]));
        v->targets[v->n_targets++] =
                (struct target){ .gpa = gpa, .was = image_get64(&v->f.w.image, gpa) };
}

static void aim_at_all(struct vandal *v)
{
        struct fixture *f = &v->f;
        const struct win32_offsets *o = &f->w.config.offsets;
        const uint64_t cr3 = f->r.proc.cr3, block = image_translate(&f->w.image, cr3, REGION_GVA);
        const uint64_t slots = REGION_GVA + VGPU_RING_OFFSET;

        for (unsigned level = 1; level <= 4; level++) {
                aim(v, image_entry(&f->w.image, cr3, REGION_GVA, level));
                aim(v, image_entry(&f->w.image, cr3, slots, level));
        }
        aim(v, image_entry(&f->w.image, cr3, slots + GVA_PAGE_BYTES, 1));
        for (uint64_t line = 0; line < 64; line += 8) {
                aim(v, block + line);
                aim(v, block + offsetof(vgpu_producer_t, slot) + line);
        }
        aim(v, block + offsetof(vgpu_producer_t, latest));
        aim(v, block + offsetof(vgpu_producer_t, latest_frame_id));
        aim(v, block + offsetof(vgpu_producer_t, cursor_seq));
        aim(v, block + offsetof(vgpu_producer_t, geom_seq));
        aim(v, windows_field(&f->w, &f->r.proc, o->pid));
        aim(v, windows_field(&f->w, &f->r.proc, o->links));
        aim(v, windows_field(&f->w, &f->r.proc, o->links + 8));
        aim(v, windows_field(&f->w, &f->r.proc, o->create_time));
        aim(v, windows_field(&f->w, &f->r.proc, o->exit_status));
        aim(v, windows_field(&f->w, &f->r.proc, EPROCESS_DIRECTORY_TABLE_BASE));
        aim(v, windows_field(&f->w, &f->w.system, o->links));
        aim(v, image_translate(&f->w.image, f->w.kcr3, WINDOWS_KERNEL_BASE + RVA_SYSTEM));
        aim(v, image_translate(&f->w.image, f->w.kcr3, WINDOWS_SHARED_VA + 8));
}

static uint64_t draw(uint64_t *random)
{
        *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return *random >> 33;
}

static uint64_t nonsense(uint64_t *random, uint64_t was)
{
        switch (draw(random) % 5) {
        case 0:
                return 0;
        case 1:
                return UINT64_MAX;
        case 2:
                return was ^ UINT64_C(1) << draw(random) % 64;
        case 3:
                return draw(random) * UINT64_C(0x100000001);
        default:
                return was + 1;
        }
}

/* One word at a time, and then as it was: were all broken at once, no call would come far. */
static void *vandalize(void *ctx)
{
        struct vandal *v = ctx;
        uint64_t random = 7;

        while (!atomic_load_explicit(&v->stop, memory_order_relaxed)) {
                const struct target *t = &v->targets[draw(&random) % v->n_targets];
                uint64_t *word = image_at(&v->f.w.image, t->gpa);

                for (uint64_t i = draw(&random) % 16; i > 0; i--) {
                        __atomic_store_n(word, nonsense(&random, t->was), __ATOMIC_RELAXED);
                        atomic_fetch_add_explicit(&v->n_changes, 1, memory_order_relaxed);
                        for (uint64_t pause = draw(&random) % 64; pause > 0; pause--)
                                __builtin_ia32_pause();
                }
                __atomic_store_n(word, t->was, __ATOMIC_RELAXED);
        }
        return NULL;
}

/* A handle that has sampled nothing yet: a frame is fresh once, and a frame_id out of nowhere is the last for ever. */
static void start_over(struct fixture *f)
{
        struct vgpup_candidate c = *vgpup_region_candidate(f->region);
        vgpup_region *region;

        if (vgpup_bind(f->v, f->m, &c, &region) < 0)
                return;
        vgpup_close(f->region);
        f->region = region;
}

static void no_call_is_kept_or_broken_by_a_writer_without_manners(void **state)
{
        static struct vandal v;
        uint64_t deadline = now_ms() + CHAOS_SECONDS * 1000, n = 0;
        size_t most[16] = { 0 }, done[16] = { 0 };
        struct outcome out;

        (void)state;
        hostile_fixture_open(&v.f);
        aim_at_all(&v);
        assert_int_equal(pthread_create(&v.thread, NULL, vandalize, &v), 0);
        while (now_ms() < deadline || atomic_load(&v.n_changes) < 10000) {
                for (size_t i = 0; i < n_hostile_calls; i++, n++) {
                        const struct call *c = &hostile_calls[i];

                        v.f.w.image.n_reads = 0;
                        done[i] += c->run(&v.f, &out) == c->done;
                        if (v.f.w.image.n_reads > c->max_reads)
                                fail_msg("%s: %zu reads", c->name, v.f.w.image.n_reads);
                        if (v.f.w.image.n_reads > most[i])
                                most[i] = v.f.w.image.n_reads;
                }
                start_over(&v.f);
        }
        atomic_store(&v.stop, true);
        pthread_join(v.thread, NULL);
        printf("%llu calls under %llu changes\n", (unsigned long long)n,
                (unsigned long long)atomic_load(&v.n_changes));
        for (size_t i = 0; i < n_hostile_calls; i++)
                printf("  %-14s %7zu done, at most %zu reads\n", hostile_calls[i].name, done[i],
                        most[i]);
        fixture_close(&v.f);
}

/* ---- an operating system ---- */

struct watcher {
        struct restless_guest g;
        vmie_win32 *v;
        vmie_mem *m;
        vgpup_region *region;
        uint64_t life;
        uint8_t buf[RESTLESS_BYTES];
        uint64_t n_samples, n_frames, n_values, n_lost;
};

static void watcher_open(struct watcher *w)
{
        memset(w, 0, sizeof(*w));
        restless_start(&w->g);
        w->m = &w->g.w.image.mem;
        for (unsigned i = 0; i < MAX_REBINDS && !w->v; i++)
                w->v = vmie_win32_open(w->m, 0, NULL);
        assert_non_null(w->v);
}

static void watcher_close(struct watcher *w)
{
        vgpup_close(w->region);
        restless_stop(&w->g);
        vmie_win32_close(w->v);
}

/* Lives are short and pages always on the move: the search may find nobody for a while. */
static void watcher_bind(struct watcher *w)
{
        vgpup_close(w->region);
        w->region = NULL;
        for (unsigned i = 0; i < MAX_REBINDS && !w->region; i++) {
                atomic_fetch_add(&w->g.n_calls, 1);
                w->region = vgpup_open(w->v);
        }
        assert_non_null(w->region);
        w->life = restless_life_of(&w->g, &vgpup_region_candidate(w->region)->proc);
}

static int take_frame(struct watcher *w)
{
        vgpup_frame_info info;
        int r = vgpup_sample_frame(w->region, w->m, w->buf, sizeof(w->buf), &info);

        if (r != 1)
                return r;
        assert_int_equal(info.bytes, RESTLESS_BYTES);
        assert_int_equal(restless_life_of_id(info.desc.frame_id), w->life);
        if (!restless_is_frame(w->buf, info.desc.frame_id))
                fail_msg("foreign bytes in sample %llu", (unsigned long long)w->n_samples);
        w->n_frames++;
        return r;
}

static int take_value(struct watcher *w)
{
        vgpup_geometry geometry;
        vgpup_cursor cursor;
        vgpup_status status;
        uint64_t frame_id;
        int r;

        switch (w->n_samples / 4 % 4) {
        case 0:
                r = vgpup_read_cursor(w->region, w->m, &cursor);
                assert_true(r != 1 || restless_is_cursor(&cursor, w->life));
                break;
        case 1:
                r = vgpup_read_geometry(w->region, w->m, &geometry);
                assert_true(r != 1 || restless_is_geometry(&geometry, w->life));
                break;
        case 2:
                r = vgpup_peek(w->region, w->m, &frame_id);
                assert_true(r != 1 || restless_life_of_id(frame_id) == w->life);
                break;
        default:
                r = vgpup_read_status(w->region, w->m, &status);
                assert_true(r != 0 || restless_life_of_id(status.heartbeat) == w->life);
                w->n_values += r == 0;
                return r == -EAGAIN ? 0 : r;
        }
        w->n_values += r == 1;
        return r;
}

static uint64_t soak_samples(void)
{
        const char *text = getenv("VGPUD_SOAK_SAMPLES");

        return text ? strtoull(text, NULL, 10) : 0;
}

static void an_operating_system_at_work_lets_no_foreign_byte_through(void **state)
{
        static struct watcher w;
        const uint64_t wanted = soak_samples(), deadline = now_ms() + SECONDS * 1000;

        (void)state;
        watcher_open(&w);
        watcher_bind(&w);
        while (wanted ? w.n_samples < wanted
                      : w.n_samples % 256 || now_ms() < deadline || w.n_frames < 1000 ||
                                atomic_load(&w.g.n_lives) < 3) {
                int r;

                atomic_fetch_add(&w.g.n_calls, 1);
                r = w.n_samples % 4 ? take_frame(&w) : take_value(&w);
                w.n_samples++;
                if (r < 0) {
                        w.n_lost++;
                        watcher_bind(&w);
                }
        }
        printf("%llu samples: %llu frames and %llu values taken, none foreign; "
               "%llu lives, %llu pages moved, %llu frames published, lost %llu times\n",
                (unsigned long long)w.n_samples, (unsigned long long)w.n_frames,
                (unsigned long long)w.n_values, (unsigned long long)atomic_load(&w.g.n_lives),
                (unsigned long long)atomic_load(&w.g.n_moves),
                (unsigned long long)atomic_load(&w.g.n_published), (unsigned long long)w.n_lost);
        watcher_close(&w);
}

/* What a reader would do that trusts a translation for a while, and the seq alone. */
static bool trusting_sample(struct watcher *w, const uint64_t *gpa, uint64_t *ret_frame_id)
{
        const uint64_t line = gpa[0] + offsetof(vgpu_producer_t, slot);
        uint32_t seq, after;

        if (gpa_read(w->m, line, &seq, sizeof(seq)) < 0 || seq & 1)
                return false;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        gpa_read(w->m, line + offsetof(vgpu_slot_t, frame_id), ret_frame_id, sizeof(*ret_frame_id));
        gpa_read(w->m, gpa[1], w->buf, GVA_PAGE_BYTES);
        gpa_read(w->m, gpa[2], w->buf + GVA_PAGE_BYTES, GVA_PAGE_BYTES);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        return gpa_read(w->m, line, &after, sizeof(after)) == 0 && after == seq;
}

static void a_reader_that_trusts_translations_does_get_foreign_bytes(void **state)
{
        static struct watcher w;
        static const uint64_t gvas[] = { REGION_GVA, REGION_GVA + VGPU_RING_OFFSET,
                REGION_GVA + VGPU_RING_OFFSET + GVA_PAGE_BYTES };
        bool foreign = false;

        (void)state;
        watcher_open(&w);
        for (uint64_t n = 0; n < 100000000 && !foreign; n++) {
                uint64_t gpa[3], frame_id;
                bool mapped = true;

                for (unsigned i = 0; i < 3; i++) {
                        struct gva_mapping to = { 0 };

                        mapped &= gva_translate(w.m, w.g.r.proc.cr3, gvas[i], &to) == 0;
                        gpa[i] = to.gpa;
                }
                for (unsigned i = 0; mapped && i < 100 && !foreign; i++)
                        foreign = trusting_sample(&w, gpa, &frame_id) &&
                                  !restless_is_frame(w.buf, frame_id);
        }
        assert_true(foreign);
        watcher_close(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_call_is_kept_or_broken_by_a_writer_without_manners),
                cmocka_unit_test(an_operating_system_at_work_lets_no_foreign_byte_through),
                cmocka_unit_test(a_reader_that_trusts_translations_does_get_foreign_bytes),
        };

#ifdef __SANITIZE_THREAD__
        puts("skipped: a guest and its reader race by design, which is all that TSan would say");
        return 77;
#endif
        return cmocka_run_group_tests(tests, NULL, NULL);
}
