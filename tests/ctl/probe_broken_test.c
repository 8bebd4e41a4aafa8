/*
 * probe_broken_test.c - guests broken in one place each: the probe names the stage and says why in words of its own
 *
 * A guest is built in memory, one thing in it is damaged, and a probe looks at it. Each kind of damage is a row.
 */
#include <elf.h>
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

#include "breakage.h"
#include "probe.h"
#include "schema.h"

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

static void probe_guest(const struct breakage *row, struct probe_report *report)
{
        const struct probe_request request = {
                .ram = { guest.ram.path },
                .n_ram = 1,
                .ram_size = row->ram_size,
                .kcr3 = row->root == ROOT_GIVEN ? guest.machine.kcr3 : row->kcr3,
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

static void assert_row(const struct breakage *row, const struct probe_report *report)
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
        static char words[BREAKAGES_MAX][512];

        (void)state;
        for (size_t i = 0; i < n_breakages; i++) {
                struct probe_report report;

                open_guest(breakages[i].options);
                if (breakages[i].damage)
                        breakages[i].damage(&guest);
                probe_guest(&breakages[i], &report);
                assert_row(&breakages[i], &report);
                words_of(words[i], sizeof words[i], string_at(last_stage(&report), "reason"));
                for (size_t j = 0; j < i; j++)
                        if (strcmp(words[i], words[j]) == 0)
                                fail_msg("'%s' and '%s' are told in the same words: %s",
                                        breakages[j].name, breakages[i].name, words[i]);
                probe_report_deinit(&report);
                guest_close(&guest);
        }
}

/* What is odd, but nothing is wrong with. */
static void an_undamaged_guest_is_found_whatever_it_is_like(void **state)
{
        static const struct {
                const char *options, *kcr3_from;
                void (*change)(struct guest *g);
        } sound[] = {
                { "--build 7601", "low stub", NULL },
                { "--build 26100 --kpti", "low stub", NULL },
                { "--build future", "low stub", NULL },
                { "--no-stub", "self reference", NULL },
                { "--la57", "low stub", NULL },
                { "--page-states", "low stub", NULL },
                { NULL, "low stub", pixels_in_transition },
        };

        (void)state;
        for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
                const struct breakage row = {
                        .name = sound[i].options ? sound[i].options : "changed", .runs = true
                };
                struct probe_report report;
                json_object *kernel;

                open_guest(sound[i].options);
                if (sound[i].change)
                        sound[i].change(&guest);
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

static int memfd_of(const uint8_t *bytes, size_t len, char *path, size_t cap)
{
        int fd = memfd_create("half", MFD_CLOEXEC);

        assert_true(fd >= 0);
        for (size_t done = 0; done < len;) {
                ssize_t n = write(fd, bytes + done, len - done);

                assert_true(n > 0);
                done += (size_t)n;
        }
        snprintf(path, cap, "/proc/self/fd/%d", fd);
        return fd;
}

/* Copies stand still, so the last stage is as far as it goes. */
static void ram_in_two_files_is_one_guest_and_a_missing_one_is_named(void **state)
{
        char low[64], high[64];
        struct probe_request request = { .ram = { low, high }, .n_ram = 2 };
        struct probe_report report;
        size_t half;
        int fds[2];

        (void)state;
        open_guest(NULL);
        half = guest.ram.size / 2;
        fds[0] = memfd_of(guest.ram.base, half, low, sizeof low);
        fds[1] = memfd_of(guest.ram.base + half, half, high, sizeof high);
        assert_int_equal(probe_report_init(&report, NULL, NULL), 0);
        probe(&report, &request);
        assert_string_equal(string_at(last_stage(&report), "stage"), "alive");
        probe_report_deinit(&report);

        request.ram[1] = "/nonexistent/node1";
        assert_int_equal(probe_report_init(&report, NULL, NULL), 0);
        assert_false(probe(&report, &request));
        assert_non_null(strstr(string_at(last_stage(&report), "reason"), "/nonexistent/node1"));
        probe_report_deinit(&report);
        close(fds[0]);
        close(fds[1]);
        guest_close(&guest);
}

#define HEADER_BYTES 8192

/* All of RAM behind a header; @lost: bytes that are missing at the end. */
static int image_of(
        const struct guest *g, const void *header, size_t len, size_t lost, char *path, size_t cap)
{
        static uint8_t file[HEADER_BYTES + (128 << 20)];

        assert_int_equal(g->ram.size, sizeof file - HEADER_BYTES);
        memset(file, 0, HEADER_BYTES);
        memcpy(file, header, len);
        memcpy(file + HEADER_BYTES, g->ram.base, g->ram.size);
        return memfd_of(file, sizeof file - lost, path, cap);
}

/* What dump-guest-memory writes, with one segment. */
static int core_of(const struct guest *g, size_t lost, char *path, size_t cap)
{
        const struct {
                Elf64_Ehdr header;
                Elf64_Phdr load;
        } core = {
                .header = {
                        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                        .e_type = ET_CORE,
                        .e_machine = EM_X86_64,
                        .e_version = EV_CURRENT,
                        .e_phoff = sizeof core.header,
                        .e_ehsize = sizeof core.header,
                        .e_phentsize = sizeof core.load,
                        .e_phnum = 1,
                },
                .load = {
                        .p_type = PT_LOAD,
                        .p_offset = HEADER_BYTES,
                        .p_filesz = g->ram.size,
                        .p_memsz = g->ram.size,
                },
        };

        return image_of(g, &core, sizeof core, lost, path, cap);
}

/* What Windows writes, with one run of pages. */
static int crash_dump_of(const struct guest *g, char *path, size_t cap)
{
        uint8_t header[HEADER_BYTES] = "PAGEDU64";
        const uint64_t pages = g->ram.size / 4096, run[] = { 0, pages };
        const uint32_t one = 1, amd64 = 0x8664, full = 1;

        memcpy(header + 0x10, &g->machine.kcr3, 8);
        memcpy(header + 0x30, &amd64, 4);
        memcpy(header + 0x88, &one, 4);
        memcpy(header + 0x90, &pages, 8);
        memcpy(header + 0x98, run, sizeof run);
        memcpy(header + 0xf98, &full, 4);
        return image_of(g, header, sizeof header, 0, path, cap);
}

static void an_image_tells_all_but_whether_the_producer_lived(void **state)
{
        char path[64];
        const struct probe_request request = { .ram = { path }, .n_ram = 1 };
        struct probe_report report;
        json_object *candidate;
        int fd;

        (void)state;
        open_guest(NULL);
        guest_run_due(&guest);
        fd = core_of(&guest, 0, path, sizeof path);
        assert_int_equal(probe_report_init(&report, NULL, NULL), 0);
        if (!probe(&report, &request))
                fail_msg("%s", string_at(last_stage(&report), "reason"));
        assert_schema(&report, "an image");
        assert_string_equal(string_at(last_stage(&report), "stage"), "frame");
        assert_string_equal(
                string_at(json_object_object_get(report.result, "source"), "kind"), "ELF core");
        candidate =
                json_object_array_get_idx(json_object_object_get(report.result, "candidates"), 0);
        assert_true(json_object_object_get_ex(candidate, "alive", NULL));
        assert_null(json_object_object_get(candidate, "alive"));
        probe_report_deinit(&report);
        close(fd);
        guest_close(&guest);
}

static void the_root_in_a_crash_dump_is_taken_when_nothing_else_leads_to_one(void **state)
{
        char path[64];
        const struct probe_request request = { .ram = { path }, .n_ram = 1 };
        struct probe_report report;
        int fd;

        (void)state;
        open_guest("--no-stub");
        guest_run_due(&guest);
        lose_self_references(&guest);
        fd = crash_dump_of(&guest, path, sizeof path);
        assert_int_equal(probe_report_init(&report, NULL, NULL), 0);
        if (!probe(&report, &request))
                fail_msg("%s", string_at(last_stage(&report), "reason"));
        assert_schema(&report, "a crash dump");
        assert_string_equal(string_at(json_object_object_get(report.result, "kernel"), "kcr3_from"),
                "dump header");
        probe_report_deinit(&report);
        close(fd);
        guest_close(&guest);
}

static void an_image_cut_short_is_no_source(void **state)
{
        char path[64];
        const struct probe_request request = { .ram = { path }, .n_ram = 1 };
        struct probe_report report;
        int fd;

        (void)state;
        open_guest(NULL);
        fd = core_of(&guest, 1 << 20, path, sizeof path);
        assert_int_equal(probe_report_init(&report, NULL, NULL), 0);
        assert_false(probe(&report, &request));
        assert_schema(&report, "an image cut short");
        assert_string_equal(string_at(last_stage(&report), "stage"), "source");
        assert_non_null(strstr(string_at(last_stage(&report), "reason"), "image is damaged"));
        probe_report_deinit(&report);
        close(fd);
        guest_close(&guest);
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
                cmocka_unit_test(an_image_tells_all_but_whether_the_producer_lived),
                cmocka_unit_test(the_root_in_a_crash_dump_is_taken_when_nothing_else_leads_to_one),
                cmocka_unit_test(an_image_cut_short_is_no_source),
                cmocka_unit_test(ram_in_two_files_is_one_guest_and_a_missing_one_is_named),
                cmocka_unit_test(
                        each_kind_of_broken_guest_is_named_by_its_stage_in_words_of_its_own),
        };

        return cmocka_run_group_tests(tests, read_schema, drop_schema);
}
