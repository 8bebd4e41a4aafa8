/*
 * probe_hints.c - what to try next, for each reason a stage of a probe can fail for
 *
 * Perception says what it saw; what a person can do about it depends on the tools that person has, so it is said here.
 */
#include "probe.h"

const char *probe_source_hint(enum vgpu_source_reason reason)
{
        switch (reason) {
        case VGPU_SOURCE_MISSING:
                return "the mem-path of QEMU's memory-backend-file, or /proc/PID/fd/N of its "
                       "memfd; is the VM running?";
        case VGPU_SOURCE_FORBIDDEN:
                return "as root, or as a user who may read the file";
        case VGPU_SOURCE_NOT_A_FILE:
                return "the RAM file itself";
        case VGPU_SOURCE_EMPTY:
                return "start the VM with share=on on its memory backend, then probe again";
        case VGPU_SOURCE_TOO_SHORT:
                return "without --ram-size, or with the size the VM really has";
        case VGPU_SOURCE_BAD_SIZE:
                return "--ram-size with a multiple of 4K";
        case VGPU_SOURCE_IMAGE_BROKEN:
                return "to take the image again; it may have been cut short";
        case VGPU_SOURCE_IMAGE_KIND:
                return "an image of all of memory: a raw one, QEMU's dump-guest-memory, or a "
                       "complete Windows dump";
        default:
                return "another file, or mend what the reason names";
        }
}

const char *probe_win32_hint(enum win32_reason reason)
{
        switch (reason) {
        case WIN32_NO_STUB:
                return "check that this is the RAM of a booted Windows guest and that --machine is "
                       "right; else give --kcr3";
        case WIN32_STUB_STALE:
        case WIN32_ROOTS_REJECTED:
                return "wait until the guest has booted, check --machine and --ram-size; else give "
                       "--kcr3";
        case WIN32_KCR3_UNREADABLE:
        case WIN32_KCR3_NOT_A_ROOT:
                return "leave --kcr3 out, or give the System process' DirectoryTableBase";
        case WIN32_NO_KERNEL_IMAGE:
        case WIN32_KERNEL_DAMAGED:
        case WIN32_NO_SYSTEM_PROCESS:
        case WIN32_SYSTEM_MISSHAPEN:
        case WIN32_NO_SHARED_DATA:
        case WIN32_LAYOUT_WRONG:
                return "check --machine and --ram-size: with a wrong layout memory above the PCI "
                       "hole reads as other pages";
        case WIN32_OFFSETS_UNKNOWN:
        case WIN32_OFFSETS_CONTRADICT:
                return "report the build with this output: its layout is not known";
        case WIN32_PROCESS_LIST_BROKEN:
                return "probe again: the list may have changed under the walk; if it stays so, "
                       "check "
                       "--machine and --ram-size";
        default:
                return "probe again; report it with this output if it stays";
        }
}

const char *probe_flaw_hint(enum vgpup_flaw flaw)
{
        switch (flaw) {
        case VGPUP_FLAW_MAGIC:
                return "wait until the producer has started its session, or start it again";
        case VGPUP_FLAW_ABI:
                return "install a producer and a vgpud that speak one version of the region ABI";
        case VGPUP_FLAW_PID:
                return "start the producer in the guest: this looks like a copy of a region that "
                       "was another process'";
        case VGPUP_FLAW_GONE:
                return "probe again: the producer may just have been starting or ending";
        default:
                return "install the producer again: what it writes is no region of this ABI";
        }
}
