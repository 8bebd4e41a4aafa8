/*
 * many_test.c - a busy guest: thousands of processes that come and go, thousands of pages that pretend
 */
#include <errno.h>
#include <string.h>

#include "guest_windows.h"
#include "process.h"

#define MIB      (UINT64_C(1) << 20)
#define MANY     5200u
#define PID(i)   (1000 + 4 * (uint32_t)(i))
#define DECOYS   1000u
#define FIRST_AT UINT64_C(0x0000010000000000)

struct fixture {
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
        process *list;
        struct guest_process *made;
};

static void open_with_room(struct fixture *f, unsigned n, size_t n_pages)
{
        struct windows_config config = windows_known(19045);

        config.ram_bytes = 4 * MIB + (2 * (size_t)n + n / 100 + n_pages) * GVA_PAGE_BYTES;
        guest_of(&f->w, &f->r, &config);
        f->made = test_calloc(n + 1, sizeof(*f->made));
        f->list = test_calloc(PROCESS_LIST_MAX, sizeof(*f->list));
        for (unsigned i = 0; i < n; i++)
                f->made[i] = windows_process(&f->w, PID(i), "worker.exe");
        f->v = vmie_win32_open(&f->w.image.mem, 0, NULL);
        image_calm(&f->w.image);
}

static void open_many(struct fixture *f, unsigned n)
{
        open_with_room(f, n, 0);
}

static void close_many(struct fixture *f)
{
        vmie_win32_close(f->v);
        test_free(f->list);
        test_free(f->made);
        windows_deinit(&f->w);
}

static void thousands_of_processes_are_listed_in_order(void **state)
{
        struct fixture f;
        size_t n;

        (void)state;
        open_many(&f, MANY);
        for (unsigned i = 0; i < MANY; i += 7)
                windows_exit(&f.w, &f.made[i]);
        assert_non_null(f.v);
        assert_int_equal(proc_list(f.v, f.list, PROCESS_LIST_MAX, &n), 0);
        assert_int_equal(n, MANY + 4);
        for (unsigned i = 0; i < MANY; i++) {
                const process *p = &f.list[i + 4];

                assert_int_equal(p->pid, PID(i));
                assert_int_equal(p->eprocess, f.made[i].eprocess);
                assert_int_equal(p->cr3, f.made[i].cr3);
                assert_int_equal(p->flags, i % 7 == 0 ? PROCESS_EXITED : 0);
        }
        assert_int_equal(proc_list(f.v, f.list, 10, &n), 0);
        assert_int_equal(n, MANY + 4);
        close_many(&f);
}

static void the_region_is_found_among_thousands_of_processes(void **state)
{
        struct vgpup_progress progress;
        const struct vgpup_discovery how = { .progress = &progress };
        struct vgpup_candidate c[2];
        struct fixture f;
        size_t n;

        (void)state;
        open_many(&f, MANY);
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].proc.pid, 4242);
        assert_int_equal(progress.n_processes, MANY + 3); /* all but System */
        assert_int_equal(progress.n_processes_done, MANY + 3);
        close_many(&f);
}

static void a_list_longer_than_any_guests_is_refused(void **state)
{
        struct win32_failure why;
        struct fixture f;
        size_t n;

        (void)state;
        open_many(&f, MANY);
        for (unsigned i = 0; i < 10; i++)
                windows_unlink(&f.w, &f.made[i]);
        assert_int_equal(proc_list(f.v, f.list, PROCESS_LIST_MAX, &n), 0);
        assert_int_equal(n, MANY + 4 - 10);
        close_many(&f);

        open_many(&f, PROCESS_LIST_MAX);
        assert_null(f.v);
        assert_null(vmie_win32_open(&f.w.image.mem, 0, &why));
        assert_int_equal(why.stage, WIN32_STAGE_PROCESSES);
        assert_int_equal(why.reason, WIN32_PROCESS_LIST_BROKEN);
        close_many(&f);
}

/* ---- in motion --------------------------------------------------------------------------------------------------- */

/* One more process at the tail, one fewer in the middle, every so many reads. */
struct motion {
        struct fixture f;
        size_t every;
        unsigned n_gone;
};

static void come_and_go(void *ctx)
{
        struct motion *m = ctx;

        windows_unlink(&m->f.w, &m->f.made[50 + 3 * m->n_gone]);
        m->n_gone++;
        windows_process(&m->f.w, 100000 + 4 * m->n_gone, "newcomer.exe");
        m->f.w.image.change_at = m->f.w.image.n_reads + m->every;
}

static void a_list_is_whole_though_processes_come_and_go(void **state)
{
        static const size_t every[] = { 97, 501, 2003 };

        (void)state;
        for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
                struct motion m = { .every = every[i] };
                size_t n, n_stayed = 0;
                int r;

                open_many(&m.f, 600);
                m.f.w.image.change = come_and_go;
                m.f.w.image.change_ctx = &m;
                m.f.w.image.change_at = 1;
                r = proc_list(m.f.v, m.f.list, PROCESS_LIST_MAX, &n);
                image_calm(&m.f.w.image);
                assert_true(m.n_gone > 0);
                if (r == -EAGAIN) /* torn each time is an answer too, at the fastest pace only */
                        assert_int_equal(i, 0);
                if (r == -EAGAIN)
                        n = 0;
                /* Who was there all along is on it, once. */
                for (size_t k = 0; k < n; k++)
                        n_stayed += m.f.list[k].pid >= PID(0) && m.f.list[k].pid < PID(50);
                if (r == 0)
                        assert_int_equal(n_stayed, 50);
                close_many(&m.f);
        }
}

static void put_link(struct fixture *f, unsigned node, unsigned which, uint64_t value)
{
        windows_kernel_write(
                &f->w, f->made[node].eprocess + f->w.config.offsets.links + which * 8, &value, 8);
}

static void no_wrong_link_makes_a_list(void **state)
{
        struct fixture f;
        size_t n;

        (void)state;
        open_many(&f, 12);
        for (unsigned node = 0; node < 12; node++) {
                uint64_t links[2], self = f.made[node].eprocess + f.w.config.offsets.links;

                image_read(&f.w.image, f.w.kcr3, self, links, sizeof(links));
                for (unsigned to = 0; to < 16; to++) {
                        uint64_t wrong = to < 12    ? f.made[to].eprocess + f.w.config.offsets.links
                                         : to == 12 ? 0
                                         : to == 13 ? UINT64_MAX - 7
                                         : to == 14 ? REGION_GVA
                                                    : self + 8;

                        for (unsigned which = 0; which < 2; which++) {
                                int r;

                                put_link(&f, node, which, wrong);
                                r = proc_list(f.v, f.list, PROCESS_LIST_MAX, &n);
                                if (wrong == links[which])
                                        assert_int_equal(r, 0);
                                else
                                        assert_true(r == -EAGAIN || r == -ELOOP || r == -EFAULT ||
                                                    r == -EINVAL);
                                put_link(&f, node, which, links[which]);
                        }
                }
        }
        close_many(&f);
}

/* ---- pretenders -------------------------------------------------------------------------------------------------- */

enum decoy { WRONG_CRC, FOREIGN_PID, NO_MAGIC, ANOTHER_ABI, N_DECOYS };

static void make_decoy(vgpu_producer_t *page, enum decoy kind)
{
        switch (kind) {
        case WRONG_CRC:
                page->identity_crc ^= 1;
                return;
        case FOREIGN_PID:
                page->producer_pid += 4;
                break;
        case NO_MAGIC:
                page->magic++;
                break;
        default:
                page->abi_version += 1 << 16;
        }
        region_seal_identity(page);
}

/* Below the region, so that they are all seen first, each on a page of its own. */
static void map_decoys(struct fixture *f, const struct guest_process *p)
{
        for (unsigned i = 0; i < DECOYS; i++) {
                uint64_t gpa = image_page(&f->w.image);
                vgpu_producer_t *page = image_at(&f->w.image, gpa);

                memcpy(page, f->r.block, GVA_PAGE_BYTES);
                make_decoy(page, i % N_DECOYS);
                image_map(&f->w.image, p->cr3, FIRST_AT + i * VGPU_REGION_ALIGN, gpa, 1,
                        PTE_W | PTE_U);
        }
}

static void a_thousand_decoys_cost_a_look_each(void **state)
{
        struct vgpup_progress progress;
        const struct vgpup_discovery how = { .progress = &progress };
        struct vgpup_candidate c[2];
        struct fixture f;
        size_t n;

        (void)state;
        open_with_room(&f, 1, 2 * DECOYS);
        map_decoys(&f, &f.r.proc);
        map_decoys(&f, &f.made[0]);
        image_calm(&f.w.image);
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].region_gva, REGION_GVA);
        /* and the region itself, whose second 64 KiB begin like one */
        assert_int_equal(progress.n_pages, 2 * DECOYS + 2);
        close_many(&f);
}

/* The region's later pages are not there: it may come back, and says what it lacks when it is read. */
static void a_truncated_region_is_found_and_says_what_it_lacks(void **state)
{
        uint8_t bytes[TEST_STRIDE_BYTES];
        vgpup_frame_info info;
        vgpup_region *region;
        struct fixture f;

        (void)state;
        open_many(&f, 1);
        for (uint64_t at = VGPU_RING_OFFSET; at < VGPU_RING_OFFSET + 2 * TEST_STRIDE_BYTES;
                at += GVA_PAGE_BYTES)
                image_put64(
                        &f.w.image, image_entry(&f.w.image, f.r.proc.cr3, REGION_GVA + at, 1), 0);
        region = vgpup_open(f.v);
        assert_non_null(region);
        assert_int_equal(
                vgpup_sample_frame(region, vmie_win32_mem(f.v), bytes, sizeof(bytes), &info),
                -EFAULT);
        assert_int_equal(gva_fault(vmie_win32_mem(f.v))->kind, GVA_FAULT_ZERO_ENTRY);
        assert_int_equal(gva_fault(vmie_win32_mem(f.v))->gva, REGION_GVA + VGPU_RING_OFFSET);
        vgpup_close(region);
        close_many(&f);
}

/* ---- progress and order ------------------------------------------------------------------------------------------ */

struct watcher {
        struct fixture f;
        struct vgpup_progress progress;
        size_t done_before;
        unsigned n_looks;
};

static void look(void *ctx)
{
        struct watcher *w = ctx;
        size_t done = atomic_load(&w->progress.n_processes_done);
        size_t total = atomic_load(&w->progress.n_processes);

        assert_true(total == 0 || total == 103);
        assert_true(done <= total && done >= w->done_before);
        w->done_before = done;
        w->n_looks++;
        w->f.w.image.change_at = w->f.w.image.n_reads + 50;
}

static void progress_only_moves_on(void **state)
{
        struct watcher w = { .n_looks = 0 };
        const struct vgpup_discovery how = { .progress = &w.progress };
        size_t n;

        (void)state;
        memset(&w.progress, MARKER, sizeof(w.progress));
        open_many(&w.f, 100);
        w.f.w.image.change = look;
        w.f.w.image.change_ctx = &w;
        w.f.w.image.change_at = 1;
        assert_int_equal(vgpup_discover(w.f.v, &how, NULL, 0, &n), 0);
        assert_true(w.n_looks > 10);
        assert_int_equal(w.progress.n_processes_done, 103);
        close_many(&w.f);
}

/* The guest's clock was set back: what is new looks old. */
static void what_was_not_there_before_is_searched_first(void **state)
{
        struct vgpup_discovery how = { .progress = NULL };
        struct guest_region second;
        struct guest_process late;
        struct vgpup_candidate c[2];
        struct fixture f;
        size_t n;

        (void)state;
        open_many(&f, 10);
        assert_int_equal(proc_list(f.v, f.list, PROCESS_LIST_MAX, &how.n_known), 0);
        how.known = f.list;
        f.w.now -= 1000000000000;
        late = windows_process(&f.w, 9000, "producer.exe");
        region_init(&second, &f.w, &late, REGION_GVA, TEST_STRIDE_BYTES, 2);
        assert_int_equal(vgpup_discover_all(f.v, c, 2, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(c[0].proc.pid, 4242);
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(c[0].proc.pid, 9000);
        assert_int_equal(c[1].proc.pid, 4242);

        how.new_suffices = true;
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].proc.pid, 9000);
        windows_exit(&f.w, &late);
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(c[0].proc.pid, 4242);

        close_many(&f);
}

static void the_same_object_with_another_create_time_is_new(void **state)
{
        struct vgpup_discovery how = { .progress = NULL };
        struct guest_region second;
        struct guest_process late;
        struct vgpup_candidate c[2];
        struct fixture f;
        size_t n;

        (void)state;
        open_many(&f, 10);
        f.w.now -= 1000000000000;
        late = windows_process(&f.w, 9000, "producer.exe");
        region_init(&second, &f.w, &late, REGION_GVA, TEST_STRIDE_BYTES, 2);
        assert_int_equal(proc_list(f.v, f.list, PROCESS_LIST_MAX, &how.n_known), 0);
        how.known = f.list;
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(c[0].proc.pid, 4242);
        f.list[how.n_known - 1].create_time++;
        assert_int_equal(vgpup_discover(f.v, &how, c, 2, &n), 0);
        assert_int_equal(c[0].proc.pid, 9000);
        close_many(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(thousands_of_processes_are_listed_in_order),
                cmocka_unit_test(the_region_is_found_among_thousands_of_processes),
                cmocka_unit_test(a_list_longer_than_any_guests_is_refused),
                cmocka_unit_test(a_list_is_whole_though_processes_come_and_go),
                cmocka_unit_test(no_wrong_link_makes_a_list),
                cmocka_unit_test(a_thousand_decoys_cost_a_look_each),
                cmocka_unit_test(a_truncated_region_is_found_and_says_what_it_lacks),
                cmocka_unit_test(progress_only_moves_on),
                cmocka_unit_test(what_was_not_there_before_is_searched_first),
                cmocka_unit_test(the_same_object_with_another_create_time_is_new),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
