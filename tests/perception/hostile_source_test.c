/*
 * hostile_source_test.c - a source that never tells the same twice, and one that fails whenever it likes
 *
 * Guest memory changes between any two reads of it. What was checked in one read and used from another is found by a
 * source that lies about every byte it has given out before: the call must then refuse, or come to what it came to
 * without the lie. A source whose nth read fails finds the failure that nobody reports.
 */
#include <errno.h>

#include "../memmodel/gather.h"
#include "anchors.h"
#include "hostile_calls.h"

/* No call over a guest as small as this reads more often, whatever it is told. */
#define READS_BOUND 400000u

enum lie {
        LIE_FLIP,
        LIE_ZERO,
        LIE_ONES,
        LIE_MORE, /* a little more each time: sizes, counts and page numbers that grow */
        LIE_RANDOM,
        N_LIES,
};

/* Stands between the core and an array: what it gives out a second time differs. */
struct liar {
        struct guest_image *image;
        const struct vmie_mem_ops *honest;
        uint8_t *given; /* how often each byte was given out */
        enum lie lie;
        size_t n_reads, n_rereads;
        size_t only; /* lie about this re-read alone; 0: about each */
        size_t fail_only;
        uint64_t random;
};

static uint8_t lie_about(struct liar *l, uint8_t byte, uint8_t times)
{
        switch (l->lie) {
        case LIE_FLIP:
                return byte ^ (times & 1 ? 0xff : 0x81);
        case LIE_ZERO:
                return 0;
        case LIE_ONES:
                return 0xff;
        case LIE_MORE:
                return byte + times;
        default:
                l->random = l->random * UINT64_C(6364136223846793005) + 1442695040888963407;
                return l->random >> 56;
        }
}

static size_t place_of(const struct liar *l, uint64_t gpa)
{
        return (uint8_t *)image_at(l->image, gpa) - l->image->ram;
}

static int read_liar(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        struct liar *l = ctx;
        uint8_t *to = dst, *given = l->given + place_of(l, gpa);
        bool again = false, lies;
        int r;

        assert_true(++l->n_reads < READS_BOUND);
        if (l->n_reads == l->fail_only)
                return -EIO;
        r = l->honest->read(l->image, gpa, dst, len);
        if (r < 0)
                return r;
        for (size_t i = 0; i < len; i++)
                again |= given[i] > 0;
        l->n_rereads += again;
        lies = again && (l->only == 0 || l->only == l->n_rereads);
        for (size_t i = 0; i < len; i++) {
                if (lies && given[i] > 0)
                        to[i] = lie_about(l, to[i], given[i]);
                if (given[i] < UINT8_MAX)
                        given[i]++;
        }
        return 0;
}

static const struct vmie_mem_ops lying_ops = { .read = read_liar };

static void liar_init(struct liar *l, struct fixture *f)
{
        *l = (struct liar){
                .image = &f->w.image,
                .honest = f->m->ops,
                .given = test_malloc(f->w.image.ram_bytes),
                .random = 1,
        };
}

/* One call through the liar, from a state in which nothing has been read. */
static int run_with(struct liar *l, struct fixture *f, const struct call *c, struct outcome *out)
{
        int r;

        memset(out, 0, sizeof(*out));
        hostile_fixture_rebind(f);
        memset(l->given, 0, f->w.image.ram_bytes);
        l->n_reads = l->n_rereads = 0;
        f->m->ops = &lying_ops;
        f->m->ctx = l;
        r = c->run(f, out);
        f->m->ops = l->honest;
        f->m->ctx = l->image;
        return r;
}

/* Whatever was made of lies must be whole in itself. */
static void expect_sound(const struct fixture *f, const struct call *c, const struct outcome *out)
{
        if (strcmp(c->name, "discover") != 0)
                return;
        assert_true(out->n <= CALL_MAX_CANDIDATES);
        for (uint64_t i = 0; i < out->n; i++) {
                const struct vgpup_candidate *k = &out->candidates[i];

                assert_int_equal(k->proc.pid, f->r.proc.pid);
                assert_int_equal(k->region_gva % VGPU_REGION_ALIGN, 0);
                assert_int_equal(
                        k->region_bytes, VGPU_RING_OFFSET + k->slot_count * k->slot_stride);
        }
}

static void a_lie_about_any_one_reread_is_noticed_or_changes_nothing(void **state)
{
        struct outcome honest, out;
        struct fixture f;
        struct liar l;

        (void)state;
        hostile_fixture_open(&f);
        liar_init(&l, &f);
        for (size_t i = 0; i < n_hostile_calls; i++) {
                const struct call *c = &hostile_calls[i];
                size_t total;

                l.only = SIZE_MAX;
                assert_int_equal(run_with(&l, &f, c, &honest), c->done);
                total = l.n_rereads;
                for (l.lie = 0; l.lie < N_LIES; l.lie++) {
                        for (l.only = 1; l.only <= total; l.only++) {
                                int r = run_with(&l, &f, c, &out);

                                if (r != c->done) {
                                        assert_true(r <= 0);
                                        continue;
                                }
                                expect_sound(&f, c, &out);
                                if (c->same && memcmp(&out, &honest, sizeof(out)) != 0)
                                        fail_msg("%s: lie %d about re-read %zu of %zu got through",
                                                c->name, (int)l.lie, l.only, total);
                        }
                }
        }
        test_free(l.given);
        fixture_close(&f);
}

static void a_source_that_never_tells_the_same_twice_is_survived(void **state)
{
        struct outcome honest, out;
        struct fixture f;
        struct liar l;

        (void)state;
        hostile_fixture_open(&f);
        liar_init(&l, &f);
        for (size_t i = 0; i < n_hostile_calls; i++) {
                const struct call *c = &hostile_calls[i];

                l.only = SIZE_MAX;
                assert_int_equal(run_with(&l, &f, c, &honest), c->done);
                l.only = 0;
                for (l.lie = 0; l.lie < N_LIES; l.lie++) {
                        for (l.random = 1; l.random <= (l.lie == LIE_RANDOM ? 50 : 1);) {
                                uint64_t seed = l.random;
                                int r = run_with(&l, &f, c, &out);

                                if (r == c->done) {
                                        expect_sound(&f, c, &out);
                                        if (c->same)
                                                assert_memory_equal(&out, &honest, sizeof(out));
                                }
                                l.random = seed + 1;
                        }
                }
        }
        test_free(l.given);
        fixture_close(&f);
}

static void a_read_that_fails_once_is_reported_by_every_call(void **state)
{
        struct outcome out;
        struct fixture f;
        struct liar l;

        (void)state;
        hostile_fixture_open(&f);
        liar_init(&l, &f);
        l.only = SIZE_MAX;
        for (size_t i = 0; i < n_hostile_calls; i++) {
                const struct call *c = &hostile_calls[i];
                size_t total;

                l.fail_only = 0;
                assert_int_equal(run_with(&l, &f, c, &out), c->done);
                total = l.n_reads;
                for (l.fail_only = 1; l.fail_only <= total; l.fail_only++) {
                        int r = run_with(&l, &f, c, &out);

                        if (r != -EIO)
                                fail_msg("%s: %d when read %zu of %zu failed", c->name, r,
                                        l.fail_only, total);
                }
        }
        test_free(l.given);
        fixture_close(&f);
}

/* A source is no snapshot: the guest may change between two bytes of one read. */
struct slow {
        struct fixture *f;
        const struct vmie_mem_ops *fast;
        uint64_t split_gpa; /* what lies below it is read before the change, the rest after */
        void (*change)(struct fixture *f);
};

static int read_slowly(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        struct slow *s = ctx;
        size_t first = s->split_gpa - gpa;
        int r;

        if (!s->change || gpa >= s->split_gpa || first >= len)
                return s->fast->read(&s->f->w.image, gpa, dst, len);
        r = s->fast->read(&s->f->w.image, gpa, dst, first);
        s->change(s->f);
        s->change = NULL;
        if (r < 0)
                return r;
        return s->fast->read(&s->f->w.image, s->split_gpa, (uint8_t *)dst + first, len - first);
}

static const struct vmie_mem_ops slow_ops = { .read = read_slowly };

/* The object is given to another process: same pid, same root, in the same place of the list. */
static void recycle_object(struct fixture *f)
{
        const struct win32_offsets *o = &f->w.config.offsets;
        uint32_t pending = STATUS_PENDING;

        image_put64(&f->w.image, windows_field(&f->w, &f->r.proc, o->create_time), f->w.now + 1);
        image_put64(&f->w.image, windows_field(&f->w, &f->r.proc, o->exit_time), 0);
        memcpy(image_at(&f->w.image, windows_field(&f->w, &f->r.proc, o->exit_status)), &pending,
                sizeof(pending));
}

static void an_object_recycled_while_it_is_read_is_not_the_process_it_was(void **state)
{
        struct fixture f;
        struct slow s = { .f = &f, .change = recycle_object };
        process p;

        (void)state;
        hostile_fixture_open(&f);
        p = vgpup_region_candidate(f.region)->proc;
        windows_exit(&f.w, &f.r.proc); /* before the read: its pages are others' already */
        s.fast = f.m->ops;
        s.split_gpa = windows_field(&f.w, &f.r.proc, f.w.config.offsets.create_time) + 8;
        f.m->ops = &slow_ops;
        f.m->ctx = &s;
        assert_int_equal(win32_process_check(win32_anchors_of(f.v), f.m, &p), -ESTALE);
        f.m->ops = s.fast;
        f.m->ctx = &f.w.image;
        assert_null(s.change);
        fixture_close(&f);
}

/* The leaf's table is left for another, and what is then written there deceives. */
struct table_trick {
        struct fixture *f;
        uint64_t leaf_entry, directory_entry; /* gpa */
        uint64_t was;
};

static void leave_table(void *ctx, size_t nth)
{
        struct table_trick *t = ctx;

        (void)nth;
        image_put64(&t->f->w.image, t->directory_entry,
                image_page(&t->f->w.image) | PTE_P | PTE_W | PTE_U);
        image_put64(&t->f->w.image, t->leaf_entry, t->was);
}

static void a_table_left_behind_does_not_vouch_for_its_entry(void **state)
{
        const uint64_t gva = REGION_GVA + VGPU_RING_OFFSET;
        struct gva_gather g;
        struct table_trick t;
        struct fixture f;

        (void)state;
        hostile_fixture_open(&f);
        assert_int_equal(gather_init(&g, TEST_STRIDE_BYTES), 0);
        assert_int_equal(gather_walk(&g, f.m, f.r.proc.cr3, gva, GVA_PAGE_BYTES), 0);
        t = (struct table_trick){
                .f = &f,
                .leaf_entry = image_entry(&f.w.image, f.r.proc.cr3, gva, 1),
                .directory_entry = image_entry(&f.w.image, f.r.proc.cr3, gva, 2),
        };
        /* While the copy was made the page was elsewhere; from the first look at the leaf on, its table is another's. */
        t.was = image_get64(&f.w.image, t.leaf_entry);
        image_put64(&f.w.image, t.leaf_entry, image_page(&f.w.image) | PTE_P | PTE_W | PTE_U);
        f.w.image.watch_gpa = t.directory_entry;
        f.w.image.watch_bytes = sizeof(uint64_t);
        f.w.image.on_watch = NULL;
        assert_int_equal(gather_recheck(&g, f.m, 0, GVA_PAGE_BYTES), 0);
        /* Had the directory been looked at first, it could be left right after. */
        image_calm(&f.w.image);
        f.w.image.watch_gpa = t.leaf_entry;
        f.w.image.on_watch = leave_table;
        f.w.image.watch_ctx = &t;
        assert_int_equal(gather_recheck(&g, f.m, 0, GVA_PAGE_BYTES), 0);
        assert_int_equal(f.w.image.n_watched, 1);
        gather_deinit(&g);
        fixture_close(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_lie_about_any_one_reread_is_noticed_or_changes_nothing),
                cmocka_unit_test(a_source_that_never_tells_the_same_twice_is_survived),
                cmocka_unit_test(a_read_that_fails_once_is_reported_by_every_call),
                cmocka_unit_test(an_object_recycled_while_it_is_read_is_not_the_process_it_was),
                cmocka_unit_test(a_table_left_behind_does_not_vouch_for_its_entry),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
