/*
 * layouts_test.c - a guest of every layout there is, and of three that are in no table, read through the real library
 *
 * The guests live in this process: what each page of the region is, and what the guest's clock says, is then the test's to
 * decide, and nineteen of them cost seconds. The reader is the product's own, over the RAM file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "guest.h"
#include "pattern.h"
#include "vgpu_perception.h"
#include "vgpu_source.h"

#define WIDTH       64u
#define HEIGHT      96u
#define FRAME_BYTES (WIDTH * HEIGHT * 4)
#define SECOND      UINT64_C(1000000000)
#define LIST_CAP    700u

static struct guest guest; /* holds the process table: too large for a stack */

/* The reader's side. */
struct reader {
        vgpu_source *source;
        vmie_mem attach, frames;
        vmie_win32 *win32;
        struct vgpup_candidate candidate;
        uint64_t now_ns; /* guest time, by our own hand */
};

static struct guest_options options_for(const struct machine_layout *l)
{
        return (struct guest_options){
                .memfd = true,
                .ram_size = UINT64_C(4) << 30,
                .machine = { .build = (uint32_t)strtoul(l->builds, NULL, 10),
                        .n_processes = 60,
                        .seed = 7,
                        .boot_id = 1,
                        .kpti = l->user_dtb != 0,
                        .paging = MACHINE_SCATTER,
                        .place = PAGES_BOTH },
                .mode = { WIDTH, HEIGHT, 60, VGPU_FMT_BGRA8888 },
                .slots = 3,
                .exited = 3,
                .decoys = 8,
                .trim_state = MACHINE_N_STATES,
        };
}

/* The clock is ours from the first frame on. */
static void open_guest(struct reader *r, const struct guest_options *options)
{
        memset(&guest, 0, sizeof(guest));
        *r = (struct reader){ .now_ns = 10 * SECOND };
        if (!guest_open(&guest, options))
                fail_msg("%s", guest.why);
        guest_run_due(&guest);
        machine_tick(&guest.machine, r->now_ns);
        r->source = vgpu_source_open(guest.ram.path, VGPU_MACHINE_Q35, options->ram_size, NULL);
        assert_non_null(r->source);
        vgpu_source_mem_pread(r->source, &r->attach);
        vgpu_source_mem_map(r->source, &r->frames);
}

static void close_guest(struct reader *r)
{
        vmie_win32_close(r->win32);
        vgpu_source_close(r->source);
        guest_close(&guest);
}

static void attach(struct reader *r)
{
        struct win32_failure why;

        r->win32 = vmie_win32_open(&r->attach, 0, &why);
        if (!r->win32)
                fail_msg("build %u: %s: %s %s", guest.machine.cfg.build,
                        win32_stage_text(why.stage), win32_reason_text(why.reason), why.detail);
        vmie_mem_adopt(&r->frames, &r->attach);
}

static void the_kernel_is_the_one_that_was_built(const struct reader *r)
{
        const struct win32_info *info = vmie_win32_info(r->win32);

        assert_true(info->kcr3 == guest.machine.kcr3);
        assert_true(info->kernel_base == guest.machine.kernel_base);
        assert_true(info->system_eprocess == guest.machine.processes[0].eprocess);
        assert_int_equal(info->build, guest.machine.cfg.build);
        assert_int_equal(info->build_in_table, info->build < MACHINE_BUILD_FUTURE);
}

static const struct machine_process *built_at(uint64_t eprocess)
{
        for (uint32_t i = 0; i < guest.machine.n_processes; i++) {
                const struct machine_process *p = &guest.machine.processes[i];

                if ((p->alive || p->lingers) && p->eprocess == eprocess)
                        return p;
        }
        return NULL;
}

/* KPTI's user root is in every object too, and never taken for the process's own. */
static void every_process_is_listed_as_it_was_built(struct reader *r)
{
        static process list[LIST_CAP];
        size_t total, n_exited = 0, expected = 0;

        assert_int_equal(proc_list(r->win32, list, LIST_CAP, &total), 0);
        for (uint32_t i = 0; i < guest.machine.n_processes; i++)
                expected += guest.machine.processes[i].alive || guest.machine.processes[i].lingers;
        assert_int_equal(total, expected);
        for (size_t i = 0; i < total; i++) {
                const struct machine_process *p = built_at(list[i].eprocess);

                assert_non_null(p);
                assert_int_equal(list[i].pid, p->pid);
                assert_int_equal(list[i].ppid, p->ppid);
                assert_true(list[i].cr3 == p->cr3);
                assert_true(list[i].create_time == p->create_time);
                assert_string_equal(list[i].name, p->name);
                assert_int_equal((list[i].flags & PROCESS_EXITED) != 0, p->lingers);
                n_exited += p->lingers;
        }
        assert_int_equal(n_exited, guest.options.exited);
}

/* Dead decoys are candidates as well: only their silence gives them away. */
static void the_region_is_found(struct reader *r)
{
        struct vgpup_candidate found[64];
        size_t n, mine = 0;

        assert_int_equal(vgpup_discover_all(r->win32, found, 64, &n), 0);
        for (size_t i = 0; i < n && i < 64; i++) {
                if (found[i].proc.pid != guest.machine.producer->pid)
                        continue;
                r->candidate = found[i];
                mine++;
        }
        assert_int_equal(mine, 1);
        assert_true(r->candidate.region_gva == guest.machine.region.gva);
        assert_true(r->candidate.proc.cr3 == guest.machine.producer->cr3);
}

static vgpup_region *bind(struct reader *r)
{
        vgpup_region *region;

        assert_int_equal(vgpup_bind(r->win32, &r->frames, &r->candidate, &region), 0);
        return region;
}

static void pass_time(struct reader *r, uint64_t ns)
{
        r->now_ns += ns;
        machine_tick(&guest.machine, r->now_ns);
}

static uint8_t pixels[FRAME_BYTES];

static int sample(struct reader *r, vgpup_region *region)
{
        vgpup_frame_info info;
        int result;

        memset(pixels, 0xEE, sizeof(pixels));
        result = vgpup_sample_frame(region, &r->frames, pixels, sizeof(pixels), &info);
        if (result == 1)
                assert_int_equal(info.bytes, FRAME_BYTES);
        return result;
}

static void the_frame_is_right(void)
{
        const struct vgpu_producer *w = &guest.producer.writer;
        struct pattern_count count;

        pattern_check(pixels, WIDTH, HEIGHT, WIDTH * 4, VGPU_FMT_BGRA8888, w->frame_id,
                guest.producer.pid, &count);
        assert_int_equal(count.torn + count.foreign, 0);
        assert_true(count.good > 0);
}

static void the_frame_is_all_zeros(void)
{
        for (size_t i = 0; i < FRAME_BYTES; i++)
                assert_int_equal(pixels[i], 0);
}

/* Not at first sight, not after half a second, not while the guest stands still: only once it has stood. */
static void sample_in_transition(struct reader *r, vgpup_region *region)
{
        assert_int_equal(sample(r, region), 0);
        assert_int_equal(vgpup_last_skip(region), VGPUP_SKIP_TRANSITION);
        assert_int_equal(sample(r, region), 0);
        pass_time(r, SECOND / 2);
        assert_int_equal(sample(r, region), 0);
        pass_time(r, SECOND);
        assert_int_equal(sample(r, region), 1);
        the_frame_is_right();
}

static void sample_in_state(struct reader *r, enum machine_state state)
{
        vgpup_region *region = bind(r);

        if (!guest_trim(&guest, state))
                fail_msg("%s", guest.why);
        switch (state) {
        case MACHINE_VALID:
        case MACHINE_PROTOTYPE:
                assert_int_equal(sample(r, region), 1);
                the_frame_is_right();
                break;
        case MACHINE_PROTOTYPE_ZERO:
        case MACHINE_DEMAND_ZERO:
                assert_int_equal(sample(r, region), 1);
                the_frame_is_all_zeros();
                break;
        case MACHINE_TRANSITION:
        case MACHINE_PROTOTYPE_TRANSITION:
        case MACHINE_N_STATES: /* one after the other */
                sample_in_transition(r, region);
                break;
        case MACHINE_PAGEFILE:
        case MACHINE_PROTOTYPE_PAGEFILE:
                assert_int_equal(sample(r, region), -EFAULT);
                assert_int_equal(gva_fault(&r->frames)->kind, GVA_FAULT_PAGED_OUT);
                break;
        case MACHINE_PROTOTYPE_VAD:
                assert_int_equal(sample(r, region), -EFAULT);
                assert_int_equal(gva_fault(&r->frames)->kind, GVA_FAULT_BY_VAD);
                break;
        case MACHINE_NO_ENTRY:
                assert_int_equal(sample(r, region), -EFAULT);
                assert_int_equal(gva_fault(&r->frames)->kind, GVA_FAULT_ZERO_ENTRY);
                break;
        }
        guest_fault_in(&guest, 0, guest.machine.region.bytes);
        vgpup_close(region);
}

/* Its entry looks like any other of transition, and names somebody's old bytes until the disk has answered. */
static void sample_while_a_page_is_read_in(struct reader *r)
{
        const struct vgpu_producer *w = &guest.producer.writer;
        uint64_t offset = VGPU_RING_OFFSET + w->latest * w->slot_stride + PAGE_BYTES, aside;
        vgpup_region *region = bind(r);

        assert_true(machine_begin_page_in(&guest.machine, offset, &aside));
        for (int i = 0; i < 3; i++) {
                assert_int_equal(sample(r, region), 0);
                assert_int_equal(vgpup_last_skip(region), VGPUP_SKIP_TRANSITION);
                pass_time(r, SECOND / 4);
        }
        machine_end_page_in(&guest.machine, offset, aside);
        assert_int_equal(sample(r, region), 1);
        the_frame_is_right();
        vgpup_close(region);
}

static void read_in_every_state(const struct guest_options *options)
{
        struct reader r;

        open_guest(&r, options);
        attach(&r);
        the_kernel_is_the_one_that_was_built(&r);
        every_process_is_listed_as_it_was_built(&r);
        the_region_is_found(&r);
        for (int state = 0; state <= MACHINE_N_STATES; state++)
                sample_in_state(&r, (enum machine_state)state);
        sample_while_a_page_is_read_in(&r);
        close_guest(&r);
}

static void read_in_large_pages(struct guest_options options, enum machine_paging paging)
{
        struct reader r;
        vgpup_region *region;

        options.machine.paging = paging;
        open_guest(&r, &options);
        attach(&r);
        the_region_is_found(&r);
        region = bind(&r);
        assert_int_equal(sample(&r, region), 1);
        the_frame_is_right();
        vgpup_close(region);
        close_guest(&r);
}

static void every_layout_is_attached_listed_and_sampled_in_every_page_state(void **state)
{
        (void)state;
        for (size_t i = 0; i < machine_n_layouts; i++) {
                struct guest_options options = options_for(&machine_layouts[i]);

                read_in_every_state(&options);
                read_in_large_pages(options, MACHINE_LARGE);
                read_in_large_pages(options, MACHINE_HUGE);
        }
}

/* Builds that share a layout are told apart by their number alone. */
static void every_known_build_is_known_by_its_number(void **state)
{
        (void)state;
        for (size_t i = 0; i < machine_n_layouts; i++) {
                struct guest_options options = options_for(&machine_layouts[i]);
                const char *at = machine_layouts[i].builds;
                struct reader r;
                char *end;

                for (unsigned long n; (n = strtoul(at, &end, 10)) != 0; at = end) {
                        options.machine.build = (uint32_t)n;
                        open_guest(&r, &options);
                        attach(&r);
                        the_kernel_is_the_one_that_was_built(&r);
                        the_region_is_found(&r);
                        close_guest(&r);
                }
        }
}

static void a_build_of_windows_7_is_read_with_and_without_user_roots(void **state)
{
        struct guest_options options = options_for(machine_layout_of(7601));

        (void)state;
        options.machine.kpti = false;
        read_in_every_state(&options);
        options.machine.kpti = true;
        read_in_every_state(&options);
}

/* Attaching without being told how many levels there are, where the region lies above what four can reach. */
static void five_levels_are_found_out_and_read_in_every_page_state(void **state)
{
        static const uint32_t builds[] = { 19045, 26100, MACHINE_BUILD_FUTURE3 };

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct guest_options options = options_for(machine_layout_of(builds[i]));

                options.machine.la57 = true;
                read_in_every_state(&options);
        }
}

static blkcnt_t blocks_of(const char *path)
{
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return st.st_blocks;
}

static void attach_and_discovery_allocate_nothing_in_the_ram_file(void **state)
{
        struct guest_options options = options_for(machine_layout_of(19045));
        struct reader r;
        blkcnt_t before;

        (void)state;
        for (int no_stub = 0; no_stub <= 1; no_stub++) {
                options.machine.no_stub = no_stub;
                open_guest(&r, &options);
                before = blocks_of(guest.ram.path);
                attach(&r);
                every_process_is_listed_as_it_was_built(&r);
                the_region_is_found(&r);
                assert_int_equal(blocks_of(guest.ram.path), before);
                close_guest(&r);
        }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(every_layout_is_attached_listed_and_sampled_in_every_page_state),
                TEST(every_known_build_is_known_by_its_number),
                TEST(a_build_of_windows_7_is_read_with_and_without_user_roots),
                TEST(five_levels_are_found_out_and_read_in_every_page_state),
                TEST(attach_and_discovery_allocate_nothing_in_the_ram_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
