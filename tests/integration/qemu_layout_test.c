/*
 * qemu_layout_test.c - RAM wherever QEMU puts it, with and without its word for it
 *
 * Each machine is booted once; a daemon that is told only the machine type and one that asks QEMU must both stream from
 * it. Machines with RAM above the hole have structures on both sides, so a wrong layout cannot pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

static char folder[] = "/dev/shm/vgpud-layout-XXXXXX";
static char file[64], monitor[64], pidfile[64], ask[256];

struct machine {
        const char *type, *ram, *place;
        bool in_file;
        const char *numa;
};

static void boot(struct rig *rig, const struct machine *m)
{
        *rig = RIG_NONE;
        rig_boot_vm(rig, &(struct vm_proc_options){ .machine = m->type,
                                 .ram = m->ram,
                                 .place = m->place,
                                 .file = m->in_file ? file : NULL,
                                 .numa = m->numa,
                                 .mode = "320x200@20",
                                 .monitor = monitor,
                                 .pidfile = pidfile });
}

/* One more frame from a daemon on this configuration, then no daemon. */
static void streams(struct rig *rig, const char *ram, const char *machine, const char *more)
{
        assert_int_equal(daemon_proc_start(&rig->daemon, ram, machine, 0, more), 0);
        rig_client(rig);
        rig_until_frame(rig);
        verify_deinit(&rig->verify);
        rig->verify = (struct verify){ 0 };
        assert_int_equal(daemon_proc_stop(&rig->daemon), 0);
}

static void end(struct rig *rig)
{
        rig_stop(rig);
        unlink(file);
        unlink(monitor);
}

/* With QEMU's word the machine type is not needed, and a wrong one does no harm. */
static void with_and_without_asking(const struct machine *m)
{
        struct rig rig;

        boot(&rig, m);
        streams(&rig, rig.vm.ram_path, m->type, NULL);
        streams(&rig, rig.vm.ram_path, "flat", ask);
        streams(&rig, "auto", m->type, ask);
        end(&rig);
}

static void q35_with_1_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "1G", "low", false, NULL });
}

static void q35_with_3_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "3G", "both", true, NULL });
}

static void q35_with_6_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "6G", "both", false, NULL });
}

static void pc_with_1_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "pc", "1G", "low", true, NULL });
}

static void pc_with_3_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "pc", "3G", "low", false, NULL });
}

static void pc_with_6_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "pc", "6G", "both", true, NULL });
}

static void two_numa_nodes_in_memfds(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "4G", "both", false, "1G" });
}

static void two_numa_nodes_in_files(void **state)
{
        char second[80];

        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "4G", "both", true, "3G" });
        snprintf(second, sizeof(second), "%s.1", file);
        unlink(second);
}

static void one_memfd_is_found_in_the_process_alone(void **state)
{
        struct rig rig;
        char more[128];

        (void)state;
        boot(&rig, &(struct machine){ "q35", "3G", "both", false, NULL });
        snprintf(more, sizeof(more), "[guest]\npidfile = %s\n", pidfile);
        streams(&rig, "auto", "q35", more);
        end(&rig);
}

static void refused(struct rig *rig, const char *ram, const char *machine, const char *more,
        const char *state, const char *words)
{
        assert_int_equal(daemon_proc_start(&rig->daemon, ram, machine, 0, more), 0);
        rig_client(rig);
        rig_until_status(rig, state, words);
        verify_deinit(&rig->verify);
        rig->verify = (struct verify){ 0 };
        assert_int_equal(daemon_proc_stop(&rig->daemon), 0);
}

static void a_wrong_layout_is_refused_with_its_reason(void **state)
{
        struct rig rig;
        char more[128], *comma;

        (void)state;
        boot(&rig, &(struct machine){ "q35", "4G", "both", false, "1G" });
        snprintf(more, sizeof(more), "[guest]\npidfile = %s\n", pidfile);
        refused(&rig, rig.vm.ram_path, "pc", NULL, "\"attaching\"", "check [guest] machine");
        refused(&rig, rig.vm.ram_path, "flat", NULL, "\"attaching\"", "check [guest] machine");
        refused(&rig, "auto", "q35", more, "\"absent\"", "several memfd backends");
        comma = strchr(rig.vm.ram_path, ',');
        assert_non_null(comma);
        *comma = '\0';
        refused(&rig, rig.vm.ram_path, "q35", ask, "\"absent\"", "QEMU has 2 RAM backends");
        end(&rig);
}

static int make_folder(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        snprintf(file, sizeof(file), "%s/ram", folder);
        snprintf(monitor, sizeof(monitor), "%s/qmp", folder);
        snprintf(pidfile, sizeof(pidfile), "%s/pid", folder);
        snprintf(ask, sizeof(ask), "[guest]\nqmp = %s\npidfile = %s\n", monitor, pidfile);
        return 0;
}

static int remove_folder(void **state)
{
        (void)state;
        rmdir(folder);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(q35_with_1_gib),
                cmocka_unit_test(q35_with_3_gib),
                cmocka_unit_test(q35_with_6_gib),
                cmocka_unit_test(pc_with_1_gib),
                cmocka_unit_test(pc_with_3_gib),
                cmocka_unit_test(pc_with_6_gib),
                cmocka_unit_test(two_numa_nodes_in_memfds),
                cmocka_unit_test(two_numa_nodes_in_files),
                cmocka_unit_test(one_memfd_is_found_in_the_process_alone),
                cmocka_unit_test(a_wrong_layout_is_refused_with_its_reason),
        };

        if (vm_proc_missing()) {
                fprintf(stderr, "skipped: %s\n", vm_proc_missing());
                return 77;
        }
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
