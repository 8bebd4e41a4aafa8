/*
 * vm_test.c - the guest kernel in a real virtual machine is what it says it is
 *
 * Boots QEMU and looks at its RAM with plain_reader.h, which shares nothing with the perception core.
 */
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest_proc.h"
#include "pattern.h"
#include "plain_reader.h"
#include "vgpu_stream.h"
#include "vm_proc.h"

#define KUSER_SHARED_DATA UINT64_C(0xfffff78000000000)
#define KUSER_INTERRUPT   0x08
#define KUSER_BUILD       0x260
#define KUSER_BOOT_ID     0x2c4

/* One virtual machine, its RAM, and what it last said of itself (guest.facts). */
struct world {
        struct vm_proc vm;
        struct guest_proc guest;
        struct plain_ram ram;
};

static void wait_ready(struct world *w)
{
        int r = guest_proc_wait_ready(&w->guest);

        if (r != 0)
                fail_msg("the guest did not boot: %s; it said '%s'", strerror(-r), w->guest.line);
}

static void boot(struct world *w, const struct vm_proc_options *options)
{
        *w = (struct world){ .vm = VM_PROC_NONE, .guest = GUEST_PROC_NULL };
        assert_int_equal(vm_proc_start(&w->vm, options), 0);
        guest_proc_attach(&w->guest, w->vm.serial_fd, w->vm.serial_fd);
        wait_ready(w);
        assert_int_equal(plain_open(&w->ram, w->vm.ram_path), 0);
}

static void shut_down(struct world *w)
{
        plain_close(&w->ram);
        guest_proc_stop(&w->guest);
        vm_proc_stop(&w->vm);
}

static void tell(struct world *w, const char *command)
{
        if (guest_proc_command(&w->guest, command) != 0)
                fail_msg("'%s' was answered '%s'", command, w->guest.line);
}

static bool read_region(const struct world *w, uint64_t offset, void *dst, size_t len)
{
        return plain_read(&w->ram, w->guest.facts.cr3, w->guest.facts.region + offset, dst, len);
}

/* Look again until @look says true. Nothing rings when a guest writes, so looking is all there is. */
static void wait_until(struct world *w, bool (*look)(struct world *w, uint64_t than), uint64_t than)
{
        for (int left_ms = VM_PROC_TIMEOUT_MS; left_ms > 0; left_ms--) {
                if (look(w, than))
                        return;
                poll(NULL, 0, 1);
        }
        fail_msg("the guest did not move in %d ms", VM_PROC_TIMEOUT_MS);
}

static uint64_t newest_frame(const struct world *w)
{
        uint64_t id = 0;

        return read_region(w, offsetof(vgpu_producer_t, latest_frame_id), &id, sizeof(id)) ? id : 0;
}

static bool frame_is_newer(struct world *w, uint64_t than)
{
        return newest_frame(w) > than;
}

/* Copy the newest frame out. Return: its pixels, for the caller to free; NULL when the writer was faster. */
static uint8_t *copy_frame(const struct world *w, vgpu_slot_t *ret_line)
{
        vgpu_producer_t block;
        uint32_t seq, slot;
        uint8_t *pixels;
        size_t bytes;

        assert_true(read_region(w, 0, &block, sizeof(block)));
        slot = block.latest;
        if (slot >= block.slot_count || block.slot[slot].seq & 1)
                return NULL;
        bytes = (size_t)block.slot[slot].height * block.slot[slot].stride;
        assert_true(bytes <= block.slot_stride);
        pixels = malloc(bytes);
        assert_non_null(pixels);
        assert_true(read_region(w, block.ring_offset + slot * block.slot_stride, pixels, bytes));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        assert_true(read_region(w, offsetof(vgpu_producer_t, slot[slot].seq), &seq, sizeof(seq)));
        *ret_line = block.slot[slot];
        if (seq == block.slot[slot].seq)
                return pixels;
        free(pixels);
        return NULL;
}

/* A frame newer than @than, every byte of it as the pattern wants it. */
static void check_a_frame(struct world *w, uint64_t than)
{
        struct pattern_count count;
        vgpu_slot_t line;
        uint8_t *pixels;

        do {
                wait_until(w, frame_is_newer, than);
        } while (!(pixels = copy_frame(w, &line)) || line.frame_id <= than);
        assert_int_equal(line.width, w->guest.facts.width);
        assert_int_equal(line.height, w->guest.facts.height);
        pattern_check(pixels, line.width, line.height, line.stride, line.format, line.frame_id,
                w->guest.facts.pid, &count);
        free(pixels);
        assert_int_equal(count.torn, 0);
        assert_int_equal(count.foreign, 0);
        assert_true(count.good > 0);
}

static uint64_t interrupt_time(const struct world *w)
{
        uint64_t time = 0;

        assert_true(plain_read(&w->ram, w->guest.facts.kcr3, KUSER_SHARED_DATA + KUSER_INTERRUPT,
                &time, sizeof(time)));
        return time;
}

static bool clock_is_past(struct world *w, uint64_t than)
{
        return interrupt_time(w) > than;
}

static uint32_t kuser32(const struct world *w, uint64_t at)
{
        uint32_t value = 0;

        assert_true(plain_read(
                &w->ram, w->guest.facts.kcr3, KUSER_SHARED_DATA + at, &value, sizeof(value)));
        return value;
}

/* The kernel, the list and the region say what the ready line said. */
static void check_machine(const struct world *w)
{
        struct plain_process processes[512];
        vgpu_producer_t block;
        size_t n, n_system = 0, n_producers = 0;
        uint16_t magic;

        assert_true(plain_read(
                &w->ram, w->guest.facts.kcr3, w->guest.facts.kernel, &magic, sizeof(magic)));
        assert_int_equal(magic, 0x5a4d);
        assert_int_equal(kuser32(w, KUSER_BUILD), w->guest.facts.build);

        n = plain_processes(&w->ram, w->guest.facts.kcr3, w->guest.facts.kernel, processes, 512);
        assert_in_range(n, 40, 512);
        for (size_t i = 0; i < n; i++) {
                struct plain_walk walk;

                assert_true(plain_walk(&w->ram, processes[i].cr3, KUSER_SHARED_DATA, &walk));
                n_system += processes[i].pid == 4 && !strcmp(processes[i].name, "System") &&
                            processes[i].cr3 == w->guest.facts.kcr3;
                n_producers += processes[i].pid == w->guest.facts.pid &&
                               processes[i].cr3 == w->guest.facts.cr3 &&
                               !strcmp(processes[i].name, "producer.exe");
        }
        assert_int_equal(n_system, 1);
        assert_int_equal(n_producers, 1);

        assert_true(read_region(w, 0, &block, sizeof(block)));
        assert_true(block.magic == VGPU_MAGIC);
        assert_int_equal(block.producer_pid, w->guest.facts.pid);
}

static void the_machine_lies_on_both_sides_of_the_hole(void **state)
{
        struct world w;
        uint64_t region_bytes;
        size_t pages[2] = { 0 }, tables[2] = { 0 };

        (void)state;
        boot(&w, &(struct vm_proc_options){ 0 });
        check_machine(&w);
        check_a_frame(&w, 0);

        assert_true(read_region(
                &w, offsetof(vgpu_producer_t, region_bytes), &region_bytes, sizeof(region_bytes)));
        for (uint64_t at = 0; at < region_bytes; at += 0x1000) {
                struct plain_walk walk;

                assert_true(
                        plain_walk(&w.ram, w.guest.facts.cr3, w.guest.facts.region + at, &walk));
                pages[walk.gpa >= PLAIN_HIGH]++;
                for (int level = 1; level < 4; level++)
                        tables[walk.table_gpa[level] >= PLAIN_HIGH]++;
        }
        assert_true(pages[0] > 0 && pages[1] > 0);
        assert_true(tables[0] > 0 && tables[1] > 0);
        shut_down(&w);
}

static void a_restarted_producer_has_another_process_and_address_space(void **state)
{
        struct guest_facts before;
        struct world w;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        for (int i = 0; i < 10; i++) {
                before = w.guest.facts;
                check_a_frame(&w, 0);
                tell(&w, "restart-producer");
                assert_int_not_equal(w.guest.facts.pid, before.pid);
                assert_true(w.guest.facts.cr3 != before.cr3);
                assert_true(w.guest.facts.kcr3 == before.kcr3);
                check_machine(&w);
        }
        check_a_frame(&w, 0);
        shut_down(&w);
}

static void a_reset_boots_another_kernel(void **state)
{
        struct guest_facts before;
        struct world w;
        uint32_t boot_id;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        for (int i = 0; i < 2; i++) {
                before = w.guest.facts;
                boot_id = kuser32(&w, KUSER_BOOT_ID);
                check_a_frame(&w, 0);
                assert_int_equal(vm_proc_qmp(&w.vm, "system_reset"), 0);
                wait_ready(&w);
                assert_true(w.guest.facts.kernel != before.kernel);
                assert_int_equal(kuser32(&w, KUSER_BOOT_ID), boot_id + 1);
                check_machine(&w);
                check_a_frame(&w, 0);
        }
        shut_down(&w);
}

static void the_clock_stands_while_the_machine_is_stopped(void **state)
{
        struct world w;
        uint64_t stopped, frame;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        wait_until(&w, clock_is_past, 0);
        assert_int_equal(vm_proc_qmp(&w.vm, "stop"), 0);
        stopped = interrupt_time(&w);
        frame = newest_frame(&w);
        /* Each answer is a round trip through QEMU's main loop, which a running guest's clock would not outwait. */
        for (int i = 0; i < 200; i++)
                assert_int_equal(vm_proc_qmp(&w.vm, "query-status"), 0);
        assert_true(interrupt_time(&w) == stopped);
        assert_true(newest_frame(&w) == frame);
        assert_int_equal(vm_proc_qmp(&w.vm, "cont"), 0);
        wait_until(&w, clock_is_past, stopped);
        check_a_frame(&w, frame);
        shut_down(&w);
}

static bool heart_is_past(struct world *w, uint64_t than)
{
        uint64_t beats = 0;

        return read_region(w, offsetof(vgpu_producer_t, heartbeat), &beats, sizeof(beats)) &&
               beats > than;
}

static void every_command_is_answered(void **state)
{
        struct world w;
        vgpu_producer_t block;
        uint64_t beats, clock;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        tell(&w, "run-epoch");
        assert_true(read_region(&w, 0, &block, sizeof(block)));
        assert_int_equal(block.run_epoch, 2);

        tell(&w, "cursor 17 -5");
        check_a_frame(&w, newest_frame(&w) + 1);
        assert_true(read_region(&w, 0, &block, sizeof(block)));
        assert_true(block.cursor_pos == (UINT64_C(0xfffffffb) << 32 | 17));
        tell(&w, "hide-cursor");
        check_a_frame(&w, newest_frame(&w) + 1);
        assert_true(read_region(&w, 0, &block, sizeof(block)));
        assert_int_equal(block.cursor_visible, 0);

        tell(&w, "stop-heartbeat");
        assert_true(read_region(&w, 0, &block, sizeof(block)));
        beats = block.heartbeat;
        clock = interrupt_time(&w);
        wait_until(&w, clock_is_past, clock + 5000000); /* half a second of the guest's own time */
        assert_true(read_region(&w, 0, &block, sizeof(block)));
        assert_true(block.heartbeat == beats);
        tell(&w, "start-heartbeat");
        wait_until(&w, heart_is_past, beats);

        assert_int_not_equal(guest_proc_command(&w.guest, "make-coffee"), 0);
        assert_int_not_equal(guest_proc_command(&w.guest, "mode 0x0@0"), 0);
        assert_int_not_equal(guest_proc_command(&w.guest, "pause"), 0);
        tell(&w, "kill");
        assert_int_equal(w.guest.facts.pid, 0);
        assert_int_not_equal(guest_proc_command(&w.guest, "run-epoch"), 0);
        tell(&w, "restart-producer");
        check_a_frame(&w, 0);
        shut_down(&w);
}

static bool slot_is_read(struct world *w, uint64_t slot)
{
        uint8_t byte;

        return read_region(w, slot, &byte, sizeof(byte));
}

/* The processor takes the entries for what they are: it faults, and the frame that was let go is written over. */
static void a_trimmed_frame_is_gone_until_the_producer_writes_there_again(void **state)
{
        static const char *const states[] = { "trim", "trim transition", "trim no-entry",
                "trim prototype-zero" };
        struct world w;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
                vgpu_producer_t block;
                uint64_t slot;

                check_a_frame(&w, 0);
                tell(&w, "stop-heartbeat");
                tell(&w, states[i]);
                assert_true(read_region(&w, 0, &block, sizeof(block)));
                slot = block.ring_offset + block.latest * block.slot_stride;
                assert_false(slot_is_read(&w, slot));
                tell(&w, "start-heartbeat");
                wait_until(&w, slot_is_read, slot);
                check_a_frame(&w, newest_frame(&w) + 3);
        }
        assert_int_not_equal(guest_proc_command(&w.guest, "trim sideways"), 0);
        tell(&w, "restart-producer");
        check_a_frame(&w, 0);
        shut_down(&w);
}

static void every_mode_and_format_is_drawn(const char *pages)
{
        static const char *const modes[] = { "1920x1080@10", "2560x1440@10", "3840x2160@5" };
        static const char *const formats[] = { "BGRA8888", "BGRX8888", "BGRA1010102" };
        struct world w;
        char command[64];

        boot(&w, &(struct vm_proc_options){ .pages = pages, .mode = "640x480@30" });
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                for (size_t j = 0; j < sizeof(formats) / sizeof(formats[0]); j++) {
                        snprintf(command, sizeof(command), "mode %s %s", modes[i], formats[j]);
                        tell(&w, command);
                        /* One that is there by now may still be in the old mode. */
                        check_a_frame(&w, newest_frame(&w));
                }
        }
        shut_down(&w);
}

static void every_mode_is_drawn_through_scattered_pages(void **state)
{
        (void)state;
        every_mode_and_format_is_drawn("scatter");
}

static void every_mode_is_drawn_through_large_pages(void **state)
{
        (void)state;
        every_mode_and_format_is_drawn("large");
}

/* On a disk every page it touches costs a write of the file system's, and 4 GiB of them a minute of boot. */
static void ram_in_a_file_works_like_a_memfd(void **state)
{
        char path[] = "/dev/shm/vgpu-vm-test-XXXXXX";
        int fd = mkstemp(path);
        struct world w;

        (void)state;
        assert_true(fd >= 0);
        boot(&w, &(struct vm_proc_options){ .file = path });
        unlink(path); /* everybody has it open, and a failed test leaves nothing behind */
        assert_string_equal(w.vm.ram_path, path);
        check_machine(&w);
        check_a_frame(&w, 0);
        shut_down(&w);
        close(fd);
}

static void a_fault_is_told_on_the_serial_line(void **state)
{
        static const char expected[] = "panic vector=0x000000000000000e";
        char line[256] = { 0 };
        size_t len = 0;
        struct world w;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        assert_int_equal(write(w.guest.in, "fault\n", 6), 6);
        while (!strstr(line, expected)) {
                struct pollfd pfd = { .fd = w.guest.out, .events = POLLIN };
                ssize_t n;

                assert_int_equal(poll(&pfd, 1, VM_PROC_TIMEOUT_MS), 1);
                n = read(w.guest.out, line + len, sizeof(line) - 1 - len);
                assert_true(n > 0);
                len += (size_t)n;
        }
        shut_down(&w);
}

static void a_crashed_qemu_is_noticed_on_the_serial_line(void **state)
{
        struct world w;

        (void)state;
        boot(&w, &(struct vm_proc_options){ .mode = "640x480@30" });
        vm_proc_kill(&w.vm);
        assert_int_not_equal(guest_proc_command(&w.guest, "status"), 0);
        shut_down(&w);
}

int main(void)
{
        const char *why = vm_proc_missing();
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_machine_lies_on_both_sides_of_the_hole),
                cmocka_unit_test(a_restarted_producer_has_another_process_and_address_space),
                cmocka_unit_test(a_reset_boots_another_kernel),
                cmocka_unit_test(the_clock_stands_while_the_machine_is_stopped),
                cmocka_unit_test(every_command_is_answered),
                cmocka_unit_test(a_trimmed_frame_is_gone_until_the_producer_writes_there_again),
                cmocka_unit_test(every_mode_is_drawn_through_scattered_pages),
                cmocka_unit_test(every_mode_is_drawn_through_large_pages),
                cmocka_unit_test(ram_in_a_file_works_like_a_memfd),
                cmocka_unit_test(a_fault_is_told_on_the_serial_line),
                cmocka_unit_test(a_crashed_qemu_is_noticed_on_the_serial_line),
        };

        if (why) {
                printf("skipped: %s\n", why);
                return 77;
        }
        signal(SIGPIPE, SIG_IGN); /* a write to a dead machine is an answer, not an end */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
