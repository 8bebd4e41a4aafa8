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
#include "vgpu_image.h"
#include "win32.h"

static char folder[] = "/dev/shm/vgpud-layout-XXXXXX";
static char file[64], monitor[64], pidfile[64], ask[256];

struct machine {
        const char *type, *ram, *place;
        bool in_file, in_process;
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
                                 .private_ram = m->in_process,
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

/* A support case: the machine's own dump, looked at without the machine. */
static void a_core_that_qemu_dumped_opens_as_the_guest_it_was(void **state)
{
        struct vgpu_source_failure why = { 0 };
        struct win32_failure no_kernel = { 0 };
        struct vgpu_image_info info;
        char request[256];
        vgpu_source *source;
        struct rig rig;
        vmie_win32 *v;
        vmie_mem m;

        (void)state;
        boot(&rig, &(struct machine){ .type = "q35", .ram = "256M", .place = "low" });
        snprintf(request, sizeof(request),
                "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, "
                "\"protocol\": \"file:%s\"}}",
                file);
        assert_int_equal(vm_proc_qmp_text(&rig.vm, request), 0);
        source = vgpu_image_open(file, VGPU_MACHINE_Q35, 0, &info, &why);
        if (!source)
                fail_msg("%s", vgpu_source_reason_text(why.reason));
        assert_int_equal(info.kind, VGPU_IMAGE_ELF_CORE);
        vgpu_source_mem_pread(source, &m);
        v = vmie_win32_open(&m, 0, &no_kernel);
        if (!v)
                fail_msg("%s", win32_reason_text(no_kernel.reason));
        assert_int_equal(vmie_win32_info(v)->kcr3, rig.guest.facts.kcr3);
        vmie_win32_close(v);
        vgpu_source_close(source);
        end(&rig);
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
        with_and_without_asking(&(struct machine){ "q35", "1G", "low", false, false, NULL });
}

static void q35_with_3_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "3G", "both", true, false, NULL });
}

static void q35_with_6_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "6G", "both", false, false, NULL });
}

static void pc_with_1_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "pc", "1G", "low", true, false, NULL });
}

static void pc_with_3_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "pc", "3G", "low", false, false, NULL });
}

static void pc_with_6_gib(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "pc", "6G", "both", true, false, NULL });
}

static void two_numa_nodes_in_memfds(void **state)
{
        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "4G", "both", false, false, "1G" });
}

static void two_numa_nodes_in_files(void **state)
{
        char second[80];

        (void)state;
        with_and_without_asking(&(struct machine){ "q35", "4G", "both", true, false, "3G" });
        snprintf(second, sizeof(second), "%s.1", file);
        unlink(second);
}

static void one_memfd_is_found_in_the_process_alone(void **state)
{
        struct rig rig;
        char more[128];

        (void)state;
        boot(&rig, &(struct machine){ "q35", "3G", "both", false, false, NULL });
        snprintf(more, sizeof(more), "[guest]\npidfile = %s\n", pidfile);
        streams(&rig, "auto", "q35", more);
        end(&rig);
}

static void ram_in_no_file_is_read_out_of_qemu(void **state)
{
        struct rig rig;

        (void)state;
        boot(&rig, &(struct machine){
                           .type = "q35", .ram = "3G", .place = "both", .in_process = true });
        streams(&rig, "auto", "q35", ask);
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
        boot(&rig, &(struct machine){ "q35", "4G", "both", false, false, "1G" });
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
                cmocka_unit_test(ram_in_no_file_is_read_out_of_qemu),
                cmocka_unit_test(a_core_that_qemu_dumped_opens_as_the_guest_it_was),
                cmocka_unit_test(a_wrong_layout_is_refused_with_its_reason),
        };

        if (vm_proc_missing()) {
                fprintf(stderr, "skipped: %s\n", vm_proc_missing());
                return 77;
        }
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
