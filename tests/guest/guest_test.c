/*
 * guest_test.c - the program vgpu-guest: what it answers, what it refuses, and that its memory bears it out
 *
 * Frames are read here as a stranger would: through the RAM file, the page tables in it and the region's own words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest_proc.h"
#include "pattern.h"
#include "vgpu_stream.h"

#define HOLE           UINT64_C(0x80000000)
#define MAX_LOOKS      20000 /* of a millisecond: a limit for what must come, not a time */
#define INTERRUPT_TIME UINT64_C(0xFFFFF78000000008)

struct reader {
        struct guest_proc guest;
        const uint8_t *ram;
        uint8_t *rw; /* the external writer's view, for the control block */
        uint64_t size;
};

static void start(struct reader *r, const char *const args[])
{
        int fd;

        *r = (struct reader){ .guest = GUEST_PROC_NULL };
        assert_int_equal(guest_proc_spawn(&r->guest, args), 0);
        r->size = r->guest.facts.ram_size;
        fd = open(r->guest.facts.ram, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        r->rw = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(r->rw != MAP_FAILED);
        r->ram = r->rw;
        close(fd);
}

static void stop(struct reader *r)
{
        munmap(r->rw, r->size);
        assert_int_equal(guest_proc_stop(&r->guest), 0);
}

static void tell(struct reader *r, const char *command)
{
        int result = guest_proc_command(&r->guest, command);

        if (result != 0)
                print_error("'%s': %s\n", command, r->guest.line);
        assert_int_equal(result, 0);
}

/* The q35 layout. */
static uint64_t offset_of(const struct reader *r, uint64_t gpa)
{
        uint64_t off = gpa >= UINT64_C(0x100000000) ? gpa - UINT64_C(0x100000000) + HOLE : gpa;

        assert_true(off < r->size);
        return off;
}

static uint64_t look(const struct reader *r, uint64_t gpa)
{
        return __atomic_load_n((const uint64_t *)(r->ram + offset_of(r, gpa)), __ATOMIC_ACQUIRE);
}

static uint64_t walk(const struct reader *r, uint64_t cr3, uint64_t va)
{
        uint64_t table = cr3 & 0xFFFFFFFFFF000, e;

        for (int shift = 39; shift >= 12; shift -= 9) {
                e = look(r, table + (va >> shift & 511) * 8);
                if (!(e & 1))
                        return UINT64_MAX;
                if (shift == 21 && (e & 0x80))
                        return (e & 0xFFFFFFFE00000) | (va & 0x1FFFFF);
                table = e & 0xFFFFFFFFFF000;
        }
        return table | (va & 0xFFF);
}

static const void *in_region(const struct reader *r, uint64_t offset)
{
        const struct guest_facts *f = &r->guest.facts;
        uint64_t gpa = walk(r, f->cr3, f->region + offset);

        assert_true(gpa != UINT64_MAX);
        return r->ram + offset_of(r, gpa);
}

static const vgpu_producer_t *block_of(const struct reader *r)
{
        return in_region(r, 0);
}

#define get(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)

static void a_moment(void)
{
        poll(NULL, 0, 1);
}

static void await_above(const uint64_t *word, uint64_t value)
{
        for (int i = 0; i < MAX_LOOKS && get(*word) <= value; i++)
                a_moment();
        assert_true(get(*word) > value);
}

static void await_u32(const uint32_t *word, uint32_t value)
{
        for (int i = 0; i < MAX_LOOKS && get(*word) != value; i++)
                a_moment();
        assert_int_equal(get(*word), value);
}

/* Copy the newest frame and prove it. Return: its id; 0 when the writer was faster. */
static uint64_t try_frame(const struct reader *r)
{
        const vgpu_producer_t *b = block_of(r);
        uint32_t latest = get(b->latest), seq;
        struct pattern_count count;
        vgpu_slot_t slot;
        uint64_t bytes;
        uint8_t *copy;

        if (latest == VGPU_SLOT_NONE)
                return 0;
        seq = get(b->slot[latest].seq);
        slot = b->slot[latest];
        bytes = (uint64_t)slot.stride * slot.height;
        if (seq % 2 != 0 || bytes == 0)
                return 0;
        copy = malloc((bytes + 4095) & ~UINT64_C(4095));
        for (uint64_t at = 0; at < bytes; at += 4096)
                memcpy(copy + at, in_region(r, VGPU_RING_OFFSET + latest * b->slot_stride + at),
                        4096);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (get(b->slot[latest].seq) != seq) {
                free(copy);
                return 0;
        }
        pattern_check(copy, slot.width, slot.height, slot.stride, slot.format, slot.frame_id,
                r->guest.facts.pid, &count);
        free(copy);
        assert_int_equal(count.torn, 0);
        assert_int_equal(count.foreign, 0);
        assert_int_equal(slot.width, r->guest.facts.width);
        assert_int_equal(slot.height, r->guest.facts.height);
        return slot.frame_id;
}

static uint64_t prove_a_frame(const struct reader *r, uint64_t after)
{
        for (int i = 0; i < MAX_LOOKS; i++) {
                uint64_t id = try_frame(r);

                if (id > after)
                        return id;
                a_moment();
        }
        fail_msg("no frame after %llu", (unsigned long long)after);
        return 0;
}

static const uint64_t *interrupt_time(const struct reader *r)
{
        return (const uint64_t *)(r->ram +
                                  offset_of(r, walk(r, r->guest.facts.kcr3, INTERRUPT_TIME)));
}

static const char *const small[] = { "--memfd", "--ram-size", "4G", "--mode", "320x200@60", NULL };

static void frames_prove_themselves_in_every_format_and_paging(void **state)
{
        static const char *const formats[] = { "BGRA8888", "BGRX8888", "RGBA8888", "RGBX8888",
                "BGRA1010102", "RGBA1010102", "RGBA16F" };
        static const char *const pagings[] = { "--scatter", "--large-pages", "--seed=9" };

        (void)state;
        for (size_t p = 0; p < 3; p++) {
                struct reader r;
                const char *const args[] = { "--memfd", "--mode", "333x127@60", pagings[p], NULL };

                start(&r, args);
                for (size_t f = 0; f < 7; f++) {
                        char command[64];

                        snprintf(command, sizeof(command), "mode %ux%u@60 %s",
                                300 + 7 * (unsigned)f, 100 + 31 * (unsigned)f, formats[f]);
                        tell(&r, command);
                        assert_string_equal(r.guest.facts.format, formats[f]);
                        await_u32(&block_of(&r)->run_epoch, r.guest.facts.run_epoch);
                        await_u32(&block_of(&r)->slot[0].run_epoch, r.guest.facts.run_epoch);
                        await_u32(&block_of(&r)->slot[1].run_epoch, r.guest.facts.run_epoch);
                        await_u32(&block_of(&r)->slot[2].run_epoch, r.guest.facts.run_epoch);
                        prove_a_frame(&r, 0);
                }
                stop(&r);
        }
}

static void the_heartbeat_the_clock_and_the_cursor_go_on(void **state)
{
        struct reader r;
        const uint64_t cursor_at = 12 | UINT64_C(0xFFFFFFFB) << 32; /* 12, -5 */
        const vgpu_producer_t *b;
        uint32_t cursor;

        (void)state;
        start(&r, small);
        b = block_of(&r);
        await_above(&b->heartbeat, get(b->heartbeat) + 1);
        await_above(interrupt_time(&r), get(*interrupt_time(&r)));
        cursor = get(b->cursor_seq);
        await_above(&b->latest_frame_id, get(b->latest_frame_id) + 3);
        assert_int_not_equal(get(b->cursor_seq), cursor);
        assert_int_equal(b->cursor_visible, 1);
        assert_int_equal(b->virt_w, 320);
        assert_int_equal(b->refresh_mhz, 60000);
        assert_int_equal(b->status, VGPU_ST_RUNNING);
        tell(&r, "cursor 12 -5");
        for (int i = 0; i < MAX_LOOKS && get(b->cursor_pos) != cursor_at; i++)
                a_moment();
        assert_true(get(b->cursor_pos) == cursor_at);
        tell(&r, "hide-cursor");
        await_u32(&b->cursor_visible, 0);
        tell(&r, "cursor auto");
        await_u32(&b->cursor_visible, 1);
        stop(&r);
}

static void a_restarted_producer_is_another_process_with_its_own_frames(void **state)
{
        struct reader r;

        (void)state;
        start(&r, small);
        for (int i = 0; i < 5; i++) {
                struct guest_facts old = r.guest.facts;

                prove_a_frame(&r, 1);
                tell(&r, "restart-producer");
                assert_int_not_equal(r.guest.facts.pid, old.pid);
                assert_true(r.guest.facts.cr3 != old.cr3);
                assert_true(r.guest.facts.kcr3 == old.kcr3);
                assert_int_equal(block_of(&r)->producer_pid, r.guest.facts.pid);
                assert_int_equal(block_of(&r)->run_epoch, 1);
        }
        stop(&r);
}

static void a_reboot_moves_the_kernel_and_frames_come_again(void **state)
{
        static const char *const kinds[] = { "reboot", "reboot elsewhere", "reboot" };
        struct reader r;

        (void)state;
        start(&r, small);
        for (uint32_t i = 0; i < 3; i++) {
                uint64_t kernel = r.guest.facts.kernel;

                tell(&r, kinds[i]);
                assert_true(r.guest.facts.kernel != kernel);
                assert_int_equal(r.guest.facts.boot_id, i + 2);
                assert_true(walk(&r, r.guest.facts.kcr3, r.guest.facts.kernel) != UINT64_MAX);
                prove_a_frame(&r, 0);
        }
        stop(&r);
}

static void a_paused_machine_stands_still_until_it_is_resumed(void **state)
{
        struct reader r;
        const vgpu_producer_t *b;
        uint64_t heartbeat, frame, clock;

        (void)state;
        start(&r, small);
        b = block_of(&r);
        await_above(&b->latest_frame_id, 2);
        tell(&r, "pause");
        assert_string_equal(r.guest.facts.state, "paused");
        heartbeat = get(b->heartbeat);
        frame = get(b->latest_frame_id);
        clock = get(*interrupt_time(&r));
        for (int i = 0; i < 20; i++) {
                tell(&r, "status");
                a_moment();
        }
        assert_true(get(b->heartbeat) == heartbeat);
        assert_true(get(b->latest_frame_id) == frame);
        assert_true(get(*interrupt_time(&r)) == clock);
        tell(&r, "resume");
        await_above(&b->heartbeat, heartbeat);
        await_above(&b->latest_frame_id, frame);
        await_above(interrupt_time(&r), clock);
        stop(&r);
}

static void a_hung_producer_is_silent_while_the_guests_clock_runs(void **state)
{
        struct reader r;
        const vgpu_producer_t *b;
        uint64_t heartbeat, frame;

        (void)state;
        start(&r, small);
        b = block_of(&r);
        tell(&r, "stop-heartbeat");
        heartbeat = get(b->heartbeat);
        frame = get(b->latest_frame_id);
        await_above(interrupt_time(&r), get(*interrupt_time(&r)) + 3000000);
        assert_true(get(b->heartbeat) == heartbeat);
        assert_true(get(b->latest_frame_id) == frame);
        tell(&r, "start-heartbeat");
        await_above(&b->heartbeat, heartbeat);
        tell(&r, "stop-heartbeat");
        heartbeat = get(b->heartbeat);
        tell(&r, "resume");
        await_above(&b->heartbeat, heartbeat);
        stop(&r);
}

static void a_bigger_mode_is_a_new_region_and_a_smaller_one_is_not(void **state)
{
        struct reader r;
        uint64_t region, frame;

        (void)state;
        start(&r, small);
        region = r.guest.facts.region;
        frame = prove_a_frame(&r, 1);
        tell(&r, "mode 200x100@60");
        assert_true(r.guest.facts.region == region);
        assert_int_equal(r.guest.facts.run_epoch, 2);
        await_above(&block_of(&r)->latest_frame_id, frame + 2);
        frame = prove_a_frame(&r, frame);
        tell(&r, "mode 800x600@60");
        assert_true(r.guest.facts.region != region);
        assert_int_equal(r.guest.facts.run_epoch, 3);
        assert_true(walk(&r, r.guest.facts.cr3, region) == UINT64_MAX);
        assert_true(prove_a_frame(&r, frame) > frame);
        tell(&r, "run-epoch");
        await_u32(&block_of(&r)->run_epoch, 4);
        stop(&r);
}

static void a_killed_producer_stays_dead_until_it_is_started(void **state)
{
        struct reader r;

        (void)state;
        start(&r, small);
        tell(&r, "kill");
        assert_int_equal(r.guest.facts.pid, 0);
        assert_string_equal(r.guest.facts.state, "dead");
        assert_int_equal(guest_proc_command(&r.guest, "kill"), -EREMOTEIO);
        assert_int_equal(guest_proc_command(&r.guest, "run-epoch"), -EREMOTEIO);
        assert_int_equal(guest_proc_command(&r.guest, "stop-heartbeat"), -EREMOTEIO);
        tell(&r, "reboot");
        assert_int_equal(r.guest.facts.pid, 0);
        tell(&r, "restart-producer");
        prove_a_frame(&r, 1);
        stop(&r);
}

static void the_hosts_intent_is_obeyed_and_acknowledged(void **state)
{
        struct reader r;
        const vgpu_producer_t *b;
        vgpu_control_t *control;
        uint64_t frame;

        (void)state;
        start(&r, small);
        b = block_of(&r);
        control = (vgpu_control_t *)in_region(&r, VGPU_CONTROL_OFFSET);
        control->desired_state = VGPU_CMD_PAUSE;
        control->target_fps = 10;
        control->full_frame_req = 0;
        __atomic_store_n(&control->ctrl_gen, 2, __ATOMIC_RELEASE);
        await_u32(&b->ctrl_ack, 2);
        assert_int_equal(get(b->status), VGPU_ST_PAUSED);
        assert_int_equal(get(b->applied_fps), 10);
        frame = get(b->latest_frame_id);
        await_above(&b->heartbeat, get(b->heartbeat) + 2);
        assert_true(get(b->latest_frame_id) == frame);

        control->desired_state = VGPU_CMD_RUN;
        control->full_frame_req = 5;
        __atomic_store_n(&control->ctrl_gen, 4, __ATOMIC_RELEASE);
        await_u32(&b->full_frame_ack, 5);
        assert_true(get(b->latest_frame_id) > frame);
        assert_int_equal(get(b->status), VGPU_ST_RUNNING);
        stop(&r);
}

static void what_is_no_command_is_refused_and_changes_nothing(void **state)
{
        static const char *const bad[] = { "bogus", "", "mode", "mode 0x0@60", "mode 100x100",
                "mode 100x100@60 NOPE", "mode 99999x1@60", "cursor 1", "cursor a b", "status now",
                "reboot twice", "mode 16384x16384@1 RGBA16F", "a b c d e f" };
        struct reader r;
        struct guest_facts before;

        (void)state;
        start(&r, small);
        before = r.guest.facts;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(guest_proc_command(&r.guest, bad[i]), -EREMOTEIO);
        tell(&r, "status");
        assert_int_equal(r.guest.facts.pid, before.pid);
        assert_int_equal(r.guest.facts.width, before.width);
        assert_int_equal(r.guest.facts.run_epoch, before.run_epoch);
        prove_a_frame(&r, 1);
        stop(&r);
}

static void a_line_without_an_end_is_bounded(void **state)
{
        struct reader r;
        char *line = malloc(100001);

        (void)state;
        memset(line, 'x', 100000);
        line[100000] = '\n';
        start(&r, small);
        assert_int_equal(write(r.guest.in, line, 100001), 100001);
        assert_int_equal(guest_proc_command(&r.guest, "status"), -EREMOTEIO);
        assert_string_equal(r.guest.line, "error line too long");
        tell(&r, "status");
        free(line);
        stop(&r);
}

static void bad_arguments_are_a_usage_error(void **state)
{
        static const char *const bad[][4] = {
                { NULL },
                { "--memfd", "--ram", "/tmp/x", NULL },
                { "--memfd", "--ram-size", "1M", NULL },
                { "--memfd", "--ram-size", "4Q", NULL },
                { "--memfd", "--ram-size", "99999999999999999999", NULL },
                { "--memfd", "--machine", "vax", NULL },
                { "--memfd", "--build", "1", NULL },
                { "--memfd", "--processes", "3", NULL },
                { "--memfd", "--mode", "640x480", NULL },
                { "--memfd", "--format", "GREY", NULL },
                { "--memfd", "--slots", "1", NULL },
                { "--memfd", "--place", "middle", NULL },
                { "--memfd", "--seed", "-1", NULL },
                { "--memfd", "--bogus", NULL },
                { "--memfd", "extra", NULL },
                { "--memfd", "--mode", NULL },
        };
        static const char *const no_high[] = { "--memfd", "--ram-size", "1G", "--place", "high",
                NULL };
        struct guest_proc g = GUEST_PROC_NULL;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                g = (struct guest_proc)GUEST_PROC_NULL;
                assert_int_equal(guest_proc_spawn(&g, bad[i]), -EPROTO);
                assert_int_equal(guest_proc_stop(&g), 2);
        }
        g = (struct guest_proc)GUEST_PROC_NULL;
        assert_int_equal(guest_proc_spawn(&g, no_high), -EPROTO);
        assert_int_equal(guest_proc_stop(&g), 2);
}

static void a_ram_file_that_cannot_be_made_is_a_failure(void **state)
{
        static const char *const args[] = { "--ram", "/proc/no/such/file", NULL };
        static const char *const directory[] = { "--ram", "/tmp", NULL };
        struct guest_proc g = GUEST_PROC_NULL;

        (void)state;
        assert_int_equal(guest_proc_spawn(&g, args), -EPROTO);
        assert_int_equal(guest_proc_stop(&g), 1);
        g = (struct guest_proc)GUEST_PROC_NULL;
        assert_int_equal(guest_proc_spawn(&g, directory), -EPROTO);
        assert_int_equal(guest_proc_stop(&g), 1);
}

static void a_ram_file_is_sparse_and_stays(void **state)
{
        char path[] = "/dev/shm/vgpu-guest-test-XXXXXX";
        const char *const args[] = { "--ram", path, "--mode", "320x200@30", NULL };
        struct guest_proc g = GUEST_PROC_NULL;
        struct stat st;
        int fd = mkstemp(path);

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(guest_proc_spawn(&g, args), 0);
        assert_string_equal(g.facts.ram, path);
        assert_int_equal(guest_proc_stop(&g), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_true(st.st_size == INT64_C(4) << 30);
        assert_true(st.st_blocks * 512 < 256 << 20);
        close(fd);
        unlink(path);
}

static void every_build_and_machine_starts(void **state)
{
        static const char *const builds[] = { "7600", "7601", "9200", "9600", "10240", "14393",
                "17134", "18362", "19045", "22631", "26100", "future" };
        static const char *const machines[] = { "q35", "pc", "microvm", "flat" };

        (void)state;
        for (size_t i = 0; i < 12; i++) {
                struct guest_proc g = GUEST_PROC_NULL;
                const char *const args[] = { "--memfd", "--build", builds[i], "--machine",
                        machines[i % 4], "--mode", "64x64@30", NULL };

                assert_int_equal(guest_proc_spawn(&g, args), 0);
                assert_string_equal(g.facts.machine, machines[i % 4]);
                assert_int_equal(guest_proc_stop(&g), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(frames_prove_themselves_in_every_format_and_paging),
                cmocka_unit_test(the_heartbeat_the_clock_and_the_cursor_go_on),
                cmocka_unit_test(a_restarted_producer_is_another_process_with_its_own_frames),
                cmocka_unit_test(a_reboot_moves_the_kernel_and_frames_come_again),
                cmocka_unit_test(a_paused_machine_stands_still_until_it_is_resumed),
                cmocka_unit_test(a_hung_producer_is_silent_while_the_guests_clock_runs),
                cmocka_unit_test(a_bigger_mode_is_a_new_region_and_a_smaller_one_is_not),
                cmocka_unit_test(a_killed_producer_stays_dead_until_it_is_started),
                cmocka_unit_test(the_hosts_intent_is_obeyed_and_acknowledged),
                cmocka_unit_test(what_is_no_command_is_refused_and_changes_nothing),
                cmocka_unit_test(a_line_without_an_end_is_bounded),
                cmocka_unit_test(bad_arguments_are_a_usage_error),
                cmocka_unit_test(a_ram_file_that_cannot_be_made_is_a_failure),
                cmocka_unit_test(a_ram_file_is_sparse_and_stays),
                cmocka_unit_test(every_build_and_machine_starts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
