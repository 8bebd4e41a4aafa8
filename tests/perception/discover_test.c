/*
 * discover_test.c - finding regions: what is one, whose it is, and what must not be taken for one
 */
#include <errno.h>
#include <string.h>

#include "guest_windows.h"

struct fixture {
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
};

static void open_guest(struct fixture *f)
{
        standard_guest(&f->w, &f->r);
        f->v = vmie_win32_open(&f->w.image.mem, 0, NULL);
        assert_non_null(f->v);
        image_calm(&f->w.image);
}

static void close_guest(struct fixture *f)
{
        vmie_win32_close(f->v);
        windows_deinit(&f->w);
}

static size_t candidates(struct fixture *f)
{
        size_t n;

        assert_int_equal(vgpup_discover_all(f->v, NULL, 0, &n), 0);
        return n;
}

static void a_region_is_found_with_all_that_is_known_of_it(void **state)
{
        struct vgpup_candidate c[2];
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        memset(c, MARKER, sizeof(c));
        assert_int_equal(vgpup_discover_all(f.v, c, 1, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].proc.pid, 4242);
        assert_int_equal(c[0].proc.cr3, f.r.proc.cr3);
        assert_string_equal(c[0].proc.name, "producer.exe");
        assert_int_equal(c[0].region_gva, REGION_GVA);
        assert_int_equal(c[0].region_bytes, VGPU_RING_OFFSET + 2 * TEST_STRIDE_BYTES);
        assert_int_equal(c[0].slot_stride, TEST_STRIDE_BYTES);
        assert_int_equal(c[0].slot_count, 2);
        assert_int_equal(c[0].heartbeat_period_ms, VGPU_HEARTBEAT_PERIOD_MS);
        assert_int_equal(c[0].heartbeat, 1000);
        assert_int_equal(((uint8_t *)&c[1])[0], MARKER);
        close_guest(&f);
}

static void the_newest_process_comes_first(void **state)
{
        struct vgpup_candidate c[4];
        struct guest_process p;
        struct guest_region second;
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        p = windows_process(&f.w, 6000, "producer.exe");
        region_init(&second, &f.w, &p, REGION_GVA + 0x10000000, TEST_STRIDE_BYTES, 2);
        assert_int_equal(vgpup_discover_all(f.v, c, 4, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(c[0].proc.pid, 6000);
        assert_int_equal(c[1].proc.pid, 4242);
        assert_int_equal(vgpup_discover_all(f.v, c, 1, &n), 0);
        assert_int_equal(n, 2);
        close_guest(&f);
}

static void a_dead_process_has_no_candidates_though_its_pages_linger(void **state)
{
        struct fixture f;

        (void)state;
        open_guest(&f);
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(candidates(&f), 0);
        close_guest(&f);
}

struct identity_case {
        const char *name;
        size_t at;
        uint64_t value;
        size_t len;
        bool sealed;          /* with a CRC that agrees */
        enum vgpup_flaw flaw; /* what the page is suspected of; none: it is just some page */
};

#define FIELD(f, v) #f, offsetof(vgpu_producer_t, f), (v), sizeof(((vgpu_producer_t *)0)->f)

static const struct identity_case identity_cases[] = {
        { FIELD(magic, VGPU_MAGIC + 1), true, VGPUP_FLAW_NONE },
        { FIELD(magic, 0), false, VGPUP_FLAW_MAGIC },
        { FIELD(abi_version, 0x00020000), true, VGPUP_FLAW_ABI },
        { FIELD(abi_version, 0), true, VGPUP_FLAW_ABI },
        { FIELD(producer_bytes, 0x2000), true, VGPUP_FLAW_LAYOUT },
        { FIELD(region_bytes, 0x10000), true, VGPUP_FLAW_REGION_BYTES },
        { FIELD(region_bytes, UINT64_MAX), true, VGPUP_FLAW_REGION_BYTES },
        { FIELD(control_offset, 0x2000), true, VGPUP_FLAW_LAYOUT },
        { FIELD(control_bytes, 128), true, VGPUP_FLAW_LAYOUT },
        { FIELD(ring_offset, 0x20000), true, VGPUP_FLAW_LAYOUT },
        { FIELD(ring_offset, UINT64_MAX - 0xffff), true, VGPUP_FLAW_LAYOUT },
        { FIELD(slot_stride, 0), true, VGPUP_FLAW_SLOT_STRIDE },
        { FIELD(slot_stride, TEST_STRIDE_BYTES + 1), true, VGPUP_FLAW_SLOT_STRIDE },
        { FIELD(slot_stride, VGPU_SLOT_STRIDE + 4096), true, VGPUP_FLAW_SLOT_STRIDE },
        { FIELD(slot_stride, UINT64_C(1) << 63), true, VGPUP_FLAW_SLOT_STRIDE },
        { FIELD(slot_count, 1), true, VGPUP_FLAW_SLOT_COUNT },
        { FIELD(slot_count, 9), true, VGPUP_FLAW_SLOT_COUNT },
        { FIELD(slot_count, UINT32_MAX), true, VGPUP_FLAW_SLOT_COUNT },
        { FIELD(heartbeat_period_ms, 0), true, VGPUP_FLAW_PERIOD },
        { FIELD(heartbeat_period_ms, 101), true, VGPUP_FLAW_PERIOD },
        { FIELD(producer_pid, 5000), true, VGPUP_FLAW_PID },
        { FIELD(producer_pid, 4243), true, VGPUP_FLAW_PID },
        { FIELD(identity_crc, 1), false, VGPUP_FLAW_CHECKSUM },
        { FIELD(heartbeat_period_ms, 50), false, VGPUP_FLAW_CHECKSUM },
};

static void assert_suspected(struct fixture *f, const struct identity_case *c)
{
        bool expected = c->flaw != VGPUP_FLAW_NONE;
        struct vgpup_suspect s[2];
        size_t n;

        assert_int_equal(vgpup_discover_suspects(f->v, s, 2, &n), 0);
        if (n != expected || (expected && s[0].flaw != c->flaw))
                fail_msg("%s = %llx: %zu suspects, the first because %s", c->name,
                        (unsigned long long)c->value, n, n ? vgpup_flaw_text(s[0].flaw) : "-");
        if (n == 0)
                return;
        assert_int_equal(s[0].gva, REGION_GVA);
        assert_int_equal(s[0].proc.pid, 4242);
        assert_int_equal(s[0].producer_pid, f->r.block->producer_pid);
        assert_int_equal(s[0].abi_version, f->r.block->abi_version);
}

static void a_line_that_breaks_one_rule_is_no_identity(void **state)
{
        struct fixture f;

        (void)state;
        open_guest(&f);
        for (size_t i = 0; i < sizeof(identity_cases) / sizeof(identity_cases[0]); i++) {
                const struct identity_case *c = &identity_cases[i];
                vgpu_producer_t was = *f.r.block;

                memcpy((uint8_t *)f.r.block + c->at, &c->value, c->len);
                if (c->sealed)
                        region_seal_identity(f.r.block);
                if (candidates(&f) != 0)
                        fail_msg("%s = %llx was taken", c->name, (unsigned long long)c->value);
                assert_suspected(&f, c);
                *f.r.block = was;
        }
        assert_int_equal(candidates(&f), 1);
        close_guest(&f);
}

static void what_is_taken_is_no_suspect(void **state)
{
        struct vgpup_suspect s;
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        assert_int_equal(vgpup_discover_suspects(f.v, &s, 1, &n), 0);
        assert_int_equal(n, 0);
        close_guest(&f);
}

static void every_flaw_has_a_sentence_of_its_own(void **state)
{
        (void)state;
        for (enum vgpup_flaw a = VGPUP_FLAW_NONE; a <= VGPUP_FLAW_GONE; a++) {
                assert_string_not_equal(vgpup_flaw_text(a), vgpup_flaw_text((enum vgpup_flaw)99));
                for (enum vgpup_flaw b = VGPUP_FLAW_NONE; b < a; b++)
                        assert_string_not_equal(vgpup_flaw_text(a), vgpup_flaw_text(b));
        }
}

static void another_minor_of_the_same_major_is_taken(void **state)
{
        struct fixture f;

        (void)state;
        open_guest(&f);
        f.r.block->abi_version = 0x00010007;
        region_seal_identity(f.r.block);
        assert_int_equal(candidates(&f), 1);
        close_guest(&f);
}

static void only_writable_user_pages_are_looked_at(void **state)
{
        struct fixture f;
        uint64_t at, was;

        (void)state;
        open_guest(&f);
        at = image_entry(&f.w.image, f.r.proc.cr3, REGION_GVA, 1);
        was = image_get64(&f.w.image, at);
        image_put64(&f.w.image, at, was & ~PTE_W);
        assert_int_equal(candidates(&f), 0);
        image_put64(&f.w.image, at,
                (was & ~PTE_W) | 1 << 11); /* clean, and writable by Windows' own bit */
        assert_int_equal(candidates(&f), 1);
        image_put64(&f.w.image, at, was & ~PTE_U);
        assert_int_equal(candidates(&f), 0);
        image_put64(&f.w.image, at, was & ~PTE_P);
        assert_int_equal(candidates(&f), 0);
        close_guest(&f);
}

static void a_base_off_the_allocation_granularity_is_no_region(void **state)
{
        struct fixture f;
        uint64_t page;

        (void)state;
        open_guest(&f);
        page = image_translate(&f.w.image, f.r.proc.cr3, REGION_GVA);
        image_put64(&f.w.image, image_entry(&f.w.image, f.r.proc.cr3, REGION_GVA, 1), 0);
        image_map(&f.w.image, f.r.proc.cr3, REGION_GVA + 0x3000, page, 1, PTE_W | PTE_U);
        assert_int_equal(candidates(&f), 0);
        image_map(&f.w.image, f.r.proc.cr3, REGION_GVA + 0x30000, page, 1, PTE_W | PTE_U);
        assert_int_equal(candidates(&f), 1);
        close_guest(&f);
}

static void a_region_that_would_leave_the_user_half_is_none(void **state)
{
        struct fixture f;
        uint64_t page;

        (void)state;
        open_guest(&f);
        page = image_translate(&f.w.image, f.r.proc.cr3, REGION_GVA);
        image_put64(&f.w.image, image_entry(&f.w.image, f.r.proc.cr3, REGION_GVA, 1), 0);
        image_map(&f.w.image, f.r.proc.cr3, 0x7fffffff0000, page, 1, PTE_W | PTE_U);
        assert_int_equal(candidates(&f), 0);
        close_guest(&f);
}

static void a_region_in_a_large_page_is_found(void **state)
{
        static const struct gpa_extent ram[] = { { 0, 0x1a0000 }, { 0x40000000, 0x200000 } };
        struct guest_image large;
        struct vgpup_candidate c;
        struct fixture f;
        vmie_win32 *v;
        size_t n;

        (void)state;
        open_guest(&f);
        image_init_extents(&large, ram, 2);
        memcpy(large.ram, f.w.image.ram, f.w.image.ram_bytes);
        large.next_page = f.w.image.next_page;
        memcpy(image_at(&large, 0x40050000), f.r.block, sizeof(*f.r.block));
        image_put64(&large, image_entry(&large, f.r.proc.cr3, REGION_GVA, 1), 0);
        image_map(&large, f.r.proc.cr3, REGION_GVA + 0x200000, 0x40000000, 2, PTE_W | PTE_U);
        v = vmie_win32_open(&large.mem, 0, NULL);
        assert_non_null(v);
        assert_int_equal(vgpup_discover_all(v, &c, 1, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c.region_gva, REGION_GVA + 0x250000);
        vmie_win32_close(v);
        image_deinit(&large);
        close_guest(&f);
}

/* Every entry of a process' tables leads back to them: its address space is endless, and full of one region. */
static void a_process_made_of_loops_costs_its_budget_only(void **state)
{
        struct vgpup_candidate c[8];
        struct guest_process trap;
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        trap = windows_process(&f.w, 9000, "trap.exe");
        for (unsigned i = 0; i < 256; i++)
                image_put64(&f.w.image, trap.cr3 + i * 8, trap.cr3 | PTE_P | PTE_W | PTE_U);
        assert_int_equal(vgpup_discover_all(f.v, c, 8, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].proc.pid, 4242);
        close_guest(&f);
}

/* A process can map its own region's page as often as it likes. */
static void one_page_mapped_many_times_is_looked_into_a_few_times(void **state)
{
        struct fixture f;
        uint64_t page;

        (void)state;
        open_guest(&f);
        page = image_translate(&f.w.image, f.r.proc.cr3, REGION_GVA);
        for (unsigned i = 0; i < 32; i++)
                image_map(&f.w.image, f.r.proc.cr3, 0x10000000 + i * VGPU_REGION_ALIGN, page, 1,
                        PTE_W | PTE_U);
        assert_int_equal(candidates(&f), 16);
        close_guest(&f);
}

/* What a second thread may come to: all of the work before the caller gets to any, or none of it, or none that is ever begun. */
enum eagerness { EAGER, LATE, UNWILLING, N_EAGERNESS };

struct test_helper {
        struct vgpup_helper helper;
        enum eagerness how;
        void (*work)(void *arg);
        void *arg;
        unsigned n_begun, n_ended;
};

static bool helper_begin(struct vgpup_helper *helper, void (*work)(void *arg), void *arg)
{
        struct test_helper *h = (struct test_helper *)helper;

        h->n_begun += h->how != UNWILLING;
        h->work = work;
        h->arg = arg;
        if (h->how == EAGER)
                work(arg);
        return h->how != UNWILLING;
}

static void helper_end(struct vgpup_helper *helper)
{
        struct test_helper *h = (struct test_helper *)helper;

        h->n_ended++;
        if (h->how == LATE)
                h->work(h->arg);
}

/* More places than are worth a second thread, one page without a word in it behind all of them. */
static void map_many_places(struct fixture *f)
{
        uint64_t page = image_page(&f->w.image);

        for (unsigned i = 0; i < 2500; i++)
                image_map(&f->w.image, f->r.proc.cr3, 0x10000000 + i * VGPU_REGION_ALIGN, page, 1,
                        PTE_W | PTE_U);
}

static void whoever_looks_finds_the_same(void **state)
{
        struct vgpup_progress progress[N_EAGERNESS + 1];
        struct vgpup_candidate c;
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        map_many_places(&f);
        for (unsigned how = 0; how <= N_EAGERNESS; how++) {
                struct test_helper h = { { helper_begin, helper_end }, how, NULL, NULL, 0, 0 };
                const struct vgpup_discovery search = {
                        .progress = &progress[how],
                        .helper = how < N_EAGERNESS ? &h.helper : NULL,
                };

                assert_int_equal(vgpup_discover(f.v, &search, &c, 1, &n), 0);
                assert_int_equal(n, 1);
                assert_int_equal(c.region_gva, REGION_GVA);
                assert_int_equal(progress[how].n_pages, progress[0].n_pages);
                assert_true(progress[how].n_pages > 2500);
                assert_int_equal(h.n_begun, how == EAGER || how == LATE);
                assert_int_equal(h.n_ended, h.n_begun);
        }
        close_guest(&f);
}

static void what_fails_for_the_helper_fails_the_scan(void **state)
{
        struct test_helper h = { { helper_begin, helper_end }, EAGER, NULL, NULL, 0, 0 };
        const struct vgpup_discovery search = { .helper = &h.helper };
        struct fixture f;
        size_t n, total;

        (void)state;
        open_guest(&f);
        map_many_places(&f);
        image_calm(&f.w.image);
        assert_int_equal(vgpup_discover(f.v, &search, NULL, 0, &n), 0);
        total = f.w.image.n_reads;
        image_calm(&f.w.image);
        f.w.image.fail_at = total - 1000; /* of the looks: they come last, but for a few */
        f.w.image.fail_with = -EIO;
        assert_int_equal(vgpup_discover(f.v, &search, NULL, 0, &n), -EIO);
        assert_int_equal(h.n_ended, h.n_begun);
        close_guest(&f);
}

static void the_first_candidate_alone_is_reported_by_value(void **state)
{
        uint64_t cr3, gva, hb0;
        struct fixture f;

        (void)state;
        open_guest(&f);
        assert_int_equal(vgpup_discover_candidate(f.v, &cr3, &gva, &hb0), 0);
        assert_int_equal(cr3, f.r.proc.cr3);
        assert_int_equal(gva, REGION_GVA);
        assert_int_equal(hb0, 1000);
        close_guest(&f);
}

static void who_is_asked_for_is_searched_and_nobody_else(void **state)
{
        struct vgpup_discovery how = { 0 };
        struct guest_process p;
        struct vgpup_candidate c[4];
        struct guest_region second;
        process listed[8];
        vmie_mem mem;
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        p = windows_process(&f.w, 6000, "producer.exe");
        region_init(&second, &f.w, &p, REGION_GVA + 0x10000000, TEST_STRIDE_BYTES, 2);
        mem = f.w.image.mem;
        assert_int_equal(proc_newest(f.v, &mem, listed, 8, &n), 0);
        assert_int_equal(listed[0].pid, 6000);
        how.only = listed;
        how.n_only = 1;
        how.mem = &mem;
        assert_int_equal(vgpup_discover(f.v, &how, c, 4, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].proc.pid, 6000);
        how.n_only = 0;
        assert_int_equal(vgpup_discover(f.v, &how, c, 4, &n), 0);
        assert_int_equal(n, 0);
        /* who is not the process any more that was listed */
        listed[1].create_time++;
        how.only = &listed[1];
        how.n_only = 1;
        assert_int_equal(vgpup_discover(f.v, &how, c, 4, &n), 0);
        assert_int_equal(n, 0);
        close_guest(&f);
}

static void no_candidate_leaves_the_outputs_alone(void **state)
{
        uint64_t cr3 = 1, gva = 2, hb0 = 3;
        struct fixture f;

        (void)state;
        open_guest(&f);
        f.r.block->magic = 0;
        assert_int_equal(vgpup_discover_candidate(f.v, &cr3, &gva, &hb0), -ENOENT);
        assert_int_equal(cr3, 1);
        assert_int_equal(gva, 2);
        assert_int_equal(hb0, 3);
        assert_null(vgpup_open(f.v));
        close_guest(&f);
}

static void a_scan_that_is_cancelled_says_so(void **state)
{
        atomic_bool cancel = true;
        struct fixture f;
        size_t n;

        (void)state;
        open_guest(&f);
        f.w.image.mem.cancel = &cancel;
        assert_int_equal(vgpup_discover_all(f.v, NULL, 0, &n), -ECANCELED);
        close_guest(&f);
}

static void every_failed_read_of_a_scan_is_reported(void **state)
{
        struct fixture f;
        size_t n, total;

        (void)state;
        open_guest(&f);
        assert_int_equal(candidates(&f), 1);
        total = f.w.image.n_reads;
        for (size_t nth = 1; nth <= total; nth++) {
                image_calm(&f.w.image);
                f.w.image.fail_at = nth;
                f.w.image.fail_with = -EIO;
                assert_int_equal(vgpup_discover_all(f.v, NULL, 0, &n), -EIO);
        }
        close_guest(&f);
}

static void a_candidate_that_changed_cannot_be_bound(void **state)
{
        struct vgpup_candidate c;
        vgpup_region *bound = NULL;
        struct fixture f;
        vgpu_producer_t was;
        size_t n;

        (void)state;
        open_guest(&f);
        assert_int_equal(vgpup_discover_all(f.v, &c, 1, &n), 0);
        was = *f.r.block;
        f.r.block->magic = 0;
        assert_int_equal(vgpup_bind(f.v, &f.w.image.mem, &c, &bound), -ESTALE);
        *f.r.block = was;
        f.r.block->slot_count = 3;
        f.r.block->region_bytes += TEST_STRIDE_BYTES;
        region_seal_identity(f.r.block);
        assert_int_equal(vgpup_bind(f.v, &f.w.image.mem, &c, &bound), -ESTALE);
        *f.r.block = was;
        c.proc.create_time++;
        assert_int_equal(vgpup_bind(f.v, &f.w.image.mem, &c, &bound), -ESTALE);
        c.proc.create_time--;
        windows_exit(&f.w, &f.r.proc);
        assert_int_equal(vgpup_bind(f.v, &f.w.image.mem, &c, &bound), -ESTALE);
        assert_null(bound);
        close_guest(&f);
}

static void every_failed_read_of_a_binding_is_reported(void **state)
{
        struct vgpup_candidate c;
        vgpup_region *bound;
        struct fixture f;
        size_t n, total;

        (void)state;
        open_guest(&f);
        assert_int_equal(vgpup_discover_all(f.v, &c, 1, &n), 0);
        image_calm(&f.w.image);
        assert_int_equal(vgpup_bind(f.v, &f.w.image.mem, &c, &bound), 0);
        assert_int_equal(vgpup_region_candidate(bound)->region_gva, REGION_GVA);
        vgpup_close(bound);
        total = f.w.image.n_reads;
        for (size_t nth = 1; nth <= total; nth++) {
                image_calm(&f.w.image);
                f.w.image.fail_at = nth;
                f.w.image.fail_with = -EIO;
                assert_int_equal(vgpup_bind(f.v, &f.w.image.mem, &c, &bound), -EIO);
        }
        close_guest(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_region_is_found_with_all_that_is_known_of_it),
                cmocka_unit_test(the_newest_process_comes_first),
                cmocka_unit_test(a_dead_process_has_no_candidates_though_its_pages_linger),
                cmocka_unit_test(a_line_that_breaks_one_rule_is_no_identity),
                cmocka_unit_test(what_is_taken_is_no_suspect),
                cmocka_unit_test(every_flaw_has_a_sentence_of_its_own),
                cmocka_unit_test(another_minor_of_the_same_major_is_taken),
                cmocka_unit_test(only_writable_user_pages_are_looked_at),
                cmocka_unit_test(a_base_off_the_allocation_granularity_is_no_region),
                cmocka_unit_test(a_region_that_would_leave_the_user_half_is_none),
                cmocka_unit_test(a_region_in_a_large_page_is_found),
                cmocka_unit_test(a_process_made_of_loops_costs_its_budget_only),
                cmocka_unit_test(one_page_mapped_many_times_is_looked_into_a_few_times),
                cmocka_unit_test(whoever_looks_finds_the_same),
                cmocka_unit_test(what_fails_for_the_helper_fails_the_scan),
                cmocka_unit_test(the_first_candidate_alone_is_reported_by_value),
                cmocka_unit_test(who_is_asked_for_is_searched_and_nobody_else),
                cmocka_unit_test(no_candidate_leaves_the_outputs_alone),
                cmocka_unit_test(a_scan_that_is_cancelled_says_so),
                cmocka_unit_test(every_failed_read_of_a_scan_is_reported),
                cmocka_unit_test(a_candidate_that_changed_cannot_be_bound),
                cmocka_unit_test(every_failed_read_of_a_binding_is_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
