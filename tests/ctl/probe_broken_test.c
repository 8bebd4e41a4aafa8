/*
 * probe_broken_test.c - guests broken in one place each: the probe names the stage and says why in words of its own
 *
 * A guest is built in memory, one thing in it is damaged, and a probe looks at it. Each kind of damage is a row.
 */
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest.h"
#include "probe.h"
#include "schema.h"

#define ADDRESS  UINT64_C(0x000ffffffffff000)
#define SHARED   UINT64_C(0xfffff78000000000)
#define UNMAPPED UINT64_C(0xffffc01234560000)

/* ---- places in a guest ---------------------------------------------------------------------------- */

static void *at_gpa(const struct guest *g, uint64_t gpa)
{
        return phys_at(g->machine.phys, gpa);
}

/* The entry of @level for @va. */
static uint64_t *entry(const struct guest *g, uint64_t cr3, uint64_t va, int level)
{
        uint64_t table = cr3 & ADDRESS;
        uint64_t *e = NULL;

        for (int l = 4; l >= level; l--) {
                e = (uint64_t *)at_gpa(g, table) + (va >> (12 + 9 * (l - 1)) & 511);
                table = *e & ADDRESS;
        }
        return e;
}

static uint8_t *image(const struct guest *g, uint32_t rva)
{
        return at_gpa(g, g->machine.kernel_gpa + rva);
}

static uint32_t *image32(const struct guest *g, uint32_t rva)
{
        return (uint32_t *)image(g, rva);
}

static uint32_t nt(const struct guest *g)
{
        return *image32(g, 0x3c);
}

static uint32_t export_directory(const struct guest *g)
{
        return *image32(g, nt(g) + 24 + 112);
}

static char *export_name(const struct guest *g, uint32_t index)
{
        return (char *)image(g, *image32(g, *image32(g, export_directory(g) + 0x20) + 4 * index));
}

static uint32_t export_index(const struct guest *g, const char *name)
{
        uint32_t n = *image32(g, export_directory(g) + 0x18);

        for (uint32_t i = 0; i < n; i++)
                if (strcmp(export_name(g, i), name) == 0)
                        return i;
        fail_msg("no export %s", name);
        return 0;
}

static uint8_t *export(const struct guest *g, const char *name)
{
        uint32_t dir = export_directory(g), i = export_index(g, name);
        uint16_t ordinal = *(uint16_t *)image(g, *image32(g, dir + 0x24) + 2 * i);

        return image(g, *image32(g, *image32(g, dir + 0x1c) + 4 * ordinal));
}

/* The next name in the alphabet, so that the others are still found. */
static void rename_export(const struct guest *g, const char *name)
{
        char *there = export_name(g, export_index(g, name));

        there[strlen(there) - 1]++;
}

static uint8_t *process_at(const struct guest *g, uint32_t index, uint32_t offset)
{
        return (uint8_t *)at_gpa(g, g->machine.processes[index].eprocess_gpa) + offset;
}

static void put32_at(void *at, uint32_t value)
{
        memcpy(at, &value, sizeof value);
}

static void put64_at(void *at, uint64_t value)
{
        memcpy(at, &value, sizeof value);
}

static vgpu_producer_t *block(const struct guest *g)
{
        return (vgpu_producer_t *)g->producer.view.at;
}

/* ---- damage --------------------------------------------------------------------------------------- */

static void wipe(struct guest *g)
{
        assert_int_equal(madvise(g->ram.base, g->ram.size, MADV_REMOVE), 0);
}

/* A start block alone in empty RAM, naming a root. */
static void stub_naming(struct guest *g, uint64_t kcr3)
{
        uint8_t *page;

        wipe(g);
        page = at_gpa(g, 0x13000);
        put64_at(page, UINT64_C(0x0000000100064de9));
        put64_at(page + 0x70, UINT64_C(0xfffff80312345000));
        put64_at(page + 0xa0, kcr3);
}

static void random_bytes(struct guest *g)
{
        uint64_t x = 88172645463325252;

        for (uint64_t i = 0; i < g->ram.size; i += 8) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                put64_at(g->ram.base + i, x);
        }
}

static void stub_to_an_empty_page(struct guest *g)
{
        stub_naming(g, 0x1ad000);
}

static void stub_to_no_ram(struct guest *g)
{
        stub_naming(g, UINT64_C(0x7f00000000));
}

static void root_is_an_empty_page(struct guest *g)
{
        memset(at_gpa(g, g->machine.kcr3), 0, 4096);
}

static void kernel_half_unmapped(struct guest *g)
{
        *entry(g, g->machine.kcr3, g->machine.kernel_base, 4) = 0;
}

static void headers_lead_nowhere(struct guest *g)
{
        *image32(g, 0x3c) = 3;
}

static void mz_broken(struct guest *g)
{
        image(g, 0)[0] = 'X';
}

static void machine_is_i386(struct guest *g)
{
        uint16_t i386 = 0x14c;

        memcpy(image(g, nt(g) + 4), &i386, sizeof i386);
}

static void size_of_image_absurd(struct guest *g)
{
        *image32(g, nt(g) + 24 + 56) = UINT32_MAX;
}

static void no_export_directory(struct guest *g)
{
        *image32(g, nt(g) + 24 + 112) = 0;
}

static void export_directory_beyond_image(struct guest *g)
{
        *image32(g, nt(g) + 24 + 112) = 0x7fffffff;
}

static void image_named_otherwise(struct guest *g)
{
        memcpy(image(g, *image32(g, export_directory(g) + 0x0c)), "hal.dll", 8);
}

static void export_tables_beyond_image(struct guest *g)
{
        *image32(g, export_directory(g) + 0x20) = 0xfffffff0;
}

static void shared_data_unmapped(struct guest *g)
{
        *entry(g, g->machine.kcr3, SHARED, 1) = 0;
}

static void no_initial_process_export(struct guest *g)
{
        rename_export(g, "PsInitialSystemProcess");
}

static void initial_process_null(struct guest *g)
{
        put64_at(export(g, "PsInitialSystemProcess"), 0);
}

static void initial_process_dangling(struct guest *g)
{
        put64_at(export(g, "PsInitialSystemProcess"), UNMAPPED);
}

static void initial_process_user_address(struct guest *g)
{
        put64_at(export(g, "PsInitialSystemProcess"), 0x7ff612340000);
}

static void build_and_accessor_unknown(struct guest *g)
{
        rename_export(g, "NtBuildNumber");
        rename_export(g, "PsGetProcessCreateTimeQuadPart");
}

static void accessor_of_an_unknown_build_missing(struct guest *g)
{
        rename_export(g, "PsGetProcessInheritedFromUniqueProcessId");
}

static void pid_accessor_contradicts(struct guest *g)
{
        put32_at(export(g, "PsGetProcessId") + 3, g->machine.layout->pid + 8u);
}

static void name_accessor_contradicts(struct guest *g)
{
        put32_at(export(g, "PsGetProcessImageFileName") + 3, g->machine.layout->image_name + 16u);
}

static void system_name_wrong(struct guest *g)
{
        memcpy(process_at(g, 0, g->machine.layout->image_name), "Sistem", 6);
}

static void system_pid_wrong(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->pid), 8);
}

static void system_root_is_another(struct guest *g)
{
        put64_at(process_at(g, 0, 0x28), g->machine.processes[1].cr3);
}

static void system_parent_wrong(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->ppid), 4242);
}

static void system_create_time_wrong(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->create_time), 42);
}

static void system_has_ended(struct guest *g)
{
        put32_at(process_at(g, 0, g->machine.layout->exit_status), 0);
}

static void system_links_to_itself(struct guest *g)
{
        put64_at(process_at(g, 0, g->machine.layout->links),
                g->machine.processes[0].eprocess + g->machine.layout->links);
}

static uint64_t links_of(const struct guest *g, uint32_t index)
{
        return g->machine.processes[index].eprocess + g->machine.layout->links;
}

static void list_cycles_past_system(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links), links_of(g, 10));
        put64_at(process_at(g, 10, g->machine.layout->links + 8), links_of(g, 20));
}

static void wrong_blink(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links + 8), links_of(g, 3));
}

static void list_leads_to_unmapped(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links), UNMAPPED);
}

static void list_leads_to_user_space(struct guest *g)
{
        put64_at(process_at(g, 20, g->machine.layout->links), 0x1000);
}

static void list_leads_outside_ram(struct guest *g)
{
        uint64_t *e = entry(g, g->machine.kcr3, g->machine.processes[20].eprocess, 1);

        *e = (*e & ~ADDRESS) | UINT64_C(0x7f00000000);
}

static void roots_are_elsewhere(struct guest *g)
{
        for (uint32_t i = 1; i < g->machine.n_processes; i++)
                put64_at(process_at(g, i, 0x28), UINT64_C(0x7f00000000) + i * 0x1000);
}

static void roots_are_other_pages(struct guest *g)
{
        for (uint32_t i = 1; i < g->machine.n_processes; i++)
                put64_at(process_at(g, i, 0x28), PHYS_HIGH + i * 0x1000);
}

static void magic_withdrawn(struct guest *g)
{
        block(g)->magic = 0;
}

static void checksum_wrong(struct guest *g)
{
        block(g)->identity_crc ^= 1;
}

static void another_process_pid(struct guest *g)
{
        vgpu_producer_t *b = block(g);
        const struct vgpu_producer_setup setup = {
                .pid = b->producer_pid + 4,
                .slot_count = b->slot_count,
                .slot_stride = b->slot_stride,
                .heartbeat_period_ms = b->heartbeat_period_ms,
        };

        assert_true(vgpu_producer_reinit(&g->producer.writer, &setup));
}

static void another_abi(struct guest *g)
{
        block(g)->abi_version = 0x00020000;
}

static void producer_block_of_another_size(struct guest *g)
{
        block(g)->producer_bytes = 0x2000;
}

static void one_slot(struct guest *g)
{
        block(g)->slot_count = 1;
}

static void odd_slot_stride(struct guest *g)
{
        block(g)->slot_stride += 1;
}

static void region_size_wrong(struct guest *g)
{
        block(g)->region_bytes += 0x1000;
}

static void heartbeat_period_wrong(struct guest *g)
{
        block(g)->heartbeat_period_ms = 5000;
}

static void producer_hangs(struct guest *g)
{
        assert_true(guest_set_hung(g, true));
}

static void paused(struct guest *g)
{
        guest_pause(g);
}

/* ---- rows ----------------------------------------------------------------------------------------- */

enum who {
        FOUND,    /* the root is found by the probe */
        GIVEN,    /* the machine's root is given */
        GIVEN_NO, /* a root that is none is given */
};

struct row {
        const char *name;
        void (*damage)(struct guest *g);
        const char *stage;
        const char *says; /* in the reason */
        enum who root;
        const char *options; /* of the guest */
        enum vgpu_machine machine;
        uint64_t ram_size; /* told to the probe */
        uint64_t kcr3;     /* with GIVEN_NO */
        bool runs;         /* its clock, and what else it does, goes on meanwhile */
};

#define ROW(n, d, s, w, ...)                                                                       \
        {                                                                                          \
                .name = (n), .damage = (d), .stage = (s), .says = (w), __VA_ARGS__                 \
        }

static const struct row rows[] = {
        /* source */
        ROW("RAM shorter than told", NULL, "source", "wanted", .ram_size = UINT64_C(8) << 30),
        ROW("a size of no whole pages", NULL, "source", "whole number of pages", .ram_size = 5000),
        /* kcr3 */
        ROW("RAM that was never written", wipe, "kcr3", "ever written"),
        ROW("nothing but random bytes", random_bytes, "kcr3", "no processor start block"),
        ROW("a stub that names an empty page", stub_to_an_empty_page, "kcr3",
                "maps no kernel half"),
        ROW("a stub that names no RAM", stub_to_no_ram, "kcr3", "not in RAM"),
        ROW("a given root that is no RAM", NULL, "kcr3", "not in RAM", .root = GIVEN_NO,
                .kcr3 = UINT64_C(0x7f00000000)),
        ROW("a given root that maps nothing", root_is_an_empty_page, "kcr3", "maps no kernel half",
                .root = GIVEN),
        /* kernel */
        ROW("the kernel range unmapped", kernel_half_unmapped, "kernel", "nothing is mapped",
                .root = GIVEN),
        ROW("an image that only begins like one", headers_lead_nowhere, "kernel",
                "headers lead nowhere", .root = GIVEN),
        ROW("MZ broken", mz_broken, "kernel", "no image begins", .root = GIVEN),
        ROW("an image for another machine", machine_is_i386, "kernel", "another kind of processor",
                .root = GIVEN),
        ROW("an image of absurd size", size_of_image_absurd, "kernel", "size is impossible",
                .root = GIVEN),
        ROW("an image without exports", no_export_directory, "kernel", "exports nothing",
                .root = GIVEN),
        ROW("exports beyond the image", export_directory_beyond_image, "kernel", "export directory",
                .root = GIVEN),
        ROW("an image of another name", image_named_otherwise, "kernel", "another name",
                .root = GIVEN),
        ROW("export tables beyond the image", export_tables_beyond_image, "kernel", "export tables",
                .root = GIVEN),
        ROW("shared data unmapped", shared_data_unmapped, "kernel", "KUSER_SHARED_DATA",
                .root = GIVEN),
        ROW("no export for System", no_initial_process_export, "kernel", "no such export",
                .root = GIVEN),
        ROW("System null", initial_process_null, "kernel", "null", .root = GIVEN),
        ROW("System in user space", initial_process_user_address, "kernel", "no kernel object",
                .root = GIVEN),
        /* offsets */
        ROW("System dangling", initial_process_dangling, "offsets", "PsInitialSystemProcess",
                .root = GIVEN),
        ROW("no build number, no accessor", build_and_accessor_unknown, "offsets", "CreateTime",
                .root = GIVEN, .options = "--build 7601"),
        ROW("an unknown build without an accessor", accessor_of_an_unknown_build_missing, "offsets",
                "InheritedFromUniqueProcessId", .root = GIVEN, .options = "--build future"),
        ROW("the pid's accessor contradicts the table", pid_accessor_contradicts, "offsets",
                "UniqueProcessId", .root = GIVEN),
        ROW("the name's accessor contradicts the table", name_accessor_contradicts, "offsets",
                "ImageFileName", .root = GIVEN),
        ROW("System has another name", system_name_wrong, "offsets", "ImageFileName",
                .root = GIVEN),
        ROW("System has another pid", system_pid_wrong, "offsets", "UniqueProcessId",
                .root = GIVEN),
        ROW("System has another root", system_root_is_another, "offsets", "root", .root = GIVEN),
        ROW("System has a parent", system_parent_wrong, "offsets", "InheritedFromUniqueProcessId",
                .root = GIVEN),
        ROW("System was created in 1601", system_create_time_wrong, "offsets", "CreateTime",
                .root = GIVEN),
        ROW("System has ended", system_has_ended, "offsets", "ExitStatus", .root = GIVEN),
        ROW("System alone on the list", system_links_to_itself, "offsets", "ActiveProcessLinks",
                .root = GIVEN),
        /* processes */
        ROW("a list that cycles", list_cycles_past_system, "processes", "never comes back",
                .root = GIVEN),
        ROW("a wrong Blink", wrong_blink, "processes", "back and forth", .root = GIVEN),
        ROW("a list that leads to nowhere", list_leads_to_unmapped, "processes", "not mapped",
                .root = GIVEN),
        ROW("a list that leads to user space", list_leads_to_user_space, "processes", "0x1000",
                .root = GIVEN),
        ROW("a process outside of RAM", list_leads_outside_ram, "processes", "outside guest RAM",
                .root = GIVEN),
        ROW("roots outside of RAM", roots_are_elsewhere, "processes", "beyond RAM", .root = GIVEN),
        ROW("roots elsewhere in RAM", roots_are_other_pages, "processes", "is not there",
                .root = GIVEN, .options = "--ram-size 4G --place low"),
        /* candidates */
        ROW("no producer", NULL, "candidates", "no process holds a region",
                .options = "--no-producer"),
        ROW("a region withdrawn", magic_withdrawn, "candidates", "magic"),
        ROW("a wrong identity checksum", checksum_wrong, "candidates", "checksum"),
        ROW("another process' pid", another_process_pid, "candidates", "another process"),
        ROW("another ABI", another_abi, "candidates", "another major version"),
        ROW("a producer block of another size", producer_block_of_another_size, "candidates",
                "not where the region ABI puts them"),
        ROW("a slot count out of range", one_slot, "candidates", "slot count"),
        ROW("an odd slot stride", odd_slot_stride, "candidates", "slot stride"),
        ROW("a region of another size", region_size_wrong, "candidates", "its size"),
        ROW("a heartbeat out of range", heartbeat_period_wrong, "candidates", "heartbeat period"),
        /* alive */
        ROW("a producer that hangs", producer_hangs, "alive", "the producer has ended or hangs",
                .runs = true),
        ROW("a machine that is paused", paused, "alive", "paused or off"),
};

#define N_ROWS (sizeof rows / sizeof rows[0])

_Static_assert(N_ROWS >= 30, "thirty kinds at least");

/* ---- probing one ---------------------------------------------------------------------------------- */

static struct guest guest;
static json_object *schema;

struct runner {
        pthread_t thread;
        int stop_fd;
};

static void *run_guest(void *arg)
{
        struct pollfd stop = { .fd = *(int *)arg, .events = POLLIN };

        while (poll(&stop, 1, 5) == 0)
                guest_run_due(&guest);
        return NULL;
}

static void start_runner(struct runner *r)
{
        r->stop_fd = eventfd(0, EFD_CLOEXEC);
        assert_true(r->stop_fd >= 0);
        assert_int_equal(pthread_create(&r->thread, NULL, run_guest, &r->stop_fd), 0);
}

static void stop_runner(struct runner *r)
{
        eventfd_write(r->stop_fd, 1);
        pthread_join(r->thread, NULL);
        close(r->stop_fd);
}

/* Options are words parted by single blanks. */
static void open_guest(const char *extra)
{
        static char words[256];
        static char *argv[24];
        struct guest_options options;
        char why[256];
        int argc = 0;

        snprintf(words, sizeof words,
                "vgpu-guest --memfd --ram-size 128M --processes 45 --mode 64x64@30 %s",
                extra ? extra : "");
        for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
                argv[argc++] = w;
        argv[argc] = NULL;
        optind = 0;
        if (!guest_options_parse(&options, argc, argv, why, sizeof why))
                fail_msg("%s", why);
        memset(&guest, 0, sizeof guest);
        if (!guest_open(&guest, &options))
                fail_msg("%s", guest.why);
}

static void probe_guest(const struct row *row, struct probe_report *report)
{
        const struct probe_request request = {
                .ram = { guest.ram.path },
                .n_ram = 1,
                .machine = row->machine,
                .ram_size = row->ram_size,
                .kcr3 = row->root == GIVEN ? guest.machine.kcr3 : row->kcr3,
                .list = true,
        };
        struct runner runner;

        if (row->runs)
                start_runner(&runner);
        assert_int_equal(probe_report_init(report, NULL, NULL), 0);
        probe(report, &request);
        if (row->runs)
                stop_runner(&runner);
}

static const char *string_at(json_object *o, const char *key)
{
        const char *s = json_object_get_string(json_object_object_get(o, key));

        return s ? s : "";
}

static json_object *last_stage(const struct probe_report *report)
{
        json_object *stages = json_object_object_get(report->result, "stages");

        return json_object_array_get_idx(stages, json_object_array_length(stages) - 1);
}

static void assert_schema(const struct probe_report *report, const char *name)
{
        char why[512];

        if (!schema_matches(schema, report->result, why, sizeof why))
                fail_msg("%s: the report does not match its schema at %s", name, why);
}

static void assert_row(const struct row *row, const struct probe_report *report)
{
        json_object *last = last_stage(report);

        assert_schema(report, row->name);
        if (json_object_get_boolean(json_object_object_get(last, "ok")))
                fail_msg("%s: nothing is wrong with it", row->name);
        if (strcmp(string_at(last, "stage"), row->stage) != 0 ||
                !strstr(string_at(last, "reason"), row->says) ||
                strlen(string_at(last, "hint")) < 10)
                fail_msg("%s: at %s, because %s; try %s", row->name, string_at(last, "stage"),
                        string_at(last, "reason"), string_at(last, "hint"));
        assert_false(json_object_get_boolean(json_object_object_get(report->result, "ok")));
}

/* The reason without its numbers: two kinds of damage must differ in words. */
static void words_of(char *dst, size_t cap, const char *reason)
{
        size_t n = 0;

        for (const char *p = reason; *p && n + 1 < cap; p++) {
                if (strncmp(p, "0x", 2) == 0) {
                        p += 2 + strspn(p + 2, "0123456789abcdef") - 1;
                        dst[n++] = '#';
                } else if (*p < '0' || *p > '9') {
                        dst[n++] = *p;
                }
        }
        dst[n] = '\0';
}

static void each_kind_of_broken_guest_is_named_by_its_stage_in_words_of_its_own(void **state)
{
        static char words[N_ROWS][512];

        (void)state;
        for (size_t i = 0; i < N_ROWS; i++) {
                struct probe_report report;

                open_guest(rows[i].options);
                if (rows[i].damage)
                        rows[i].damage(&guest);
                probe_guest(&rows[i], &report);
                assert_row(&rows[i], &report);
                words_of(words[i], sizeof words[i], string_at(last_stage(&report), "reason"));
                for (size_t j = 0; j < i; j++)
                        if (strcmp(words[i], words[j]) == 0)
                                fail_msg("'%s' and '%s' are told in the same words: %s",
                                        rows[j].name, rows[i].name, words[i]);
                probe_report_deinit(&report);
                guest_close(&guest);
        }
}

/* What is odd, but nothing is wrong with. */
static void an_undamaged_guest_is_found_whatever_it_is_like(void **state)
{
        static const struct {
                const char *options, *kcr3_from;
        } sound[] = {
                { "--build 7601", "low stub" },
                { "--build 26100 --kpti", "low stub" },
                { "--build future", "low stub" },
                { "--no-stub", "self reference" },
                { "--la57", "low stub" },
                { "--page-states", "low stub" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
                const struct row row = { .name = sound[i].options, .runs = true };
                struct probe_report report;
                json_object *kernel;

                open_guest(sound[i].options);
                probe_guest(&row, &report);
                assert_schema(&report, row.name);
                if (!json_object_get_boolean(json_object_object_get(report.result, "ok")))
                        fail_msg("%s: %s", row.name, string_at(last_stage(&report), "reason"));
                kernel = json_object_object_get(report.result, "kernel");
                assert_string_equal(string_at(kernel, "kcr3_from"), sound[i].kcr3_from);
                probe_report_deinit(&report);
                guest_close(&guest);
        }
}

static int read_schema(void **state)
{
        (void)state;
        schema = json_object_from_file(PROBE_SCHEMA);
        return schema ? 0 : -1;
}

static int drop_schema(void **state)
{
        (void)state;
        json_object_put(schema);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_undamaged_guest_is_found_whatever_it_is_like),
                cmocka_unit_test(
                        each_kind_of_broken_guest_is_named_by_its_stage_in_words_of_its_own),
        };

        return cmocka_run_group_tests(tests, read_schema, drop_schema);
}
