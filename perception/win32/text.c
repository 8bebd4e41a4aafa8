/*
 * text.c - stages and reasons in words
 */
#include "win32.h"

const char *win32_stage_text(enum win32_stage stage)
{
        switch (stage) {
        case WIN32_STAGE_KCR3:
                return "looking for the System page tables";
        case WIN32_STAGE_KERNEL:
                return "looking for the kernel image";
        case WIN32_STAGE_OFFSETS:
                return "learning the layout of process objects";
        case WIN32_STAGE_PROCESSES:
                return "walking the process list";
        case WIN32_STAGE_DONE:
                return "done";
        }
        return "at an unknown stage";
}

const char *win32_reason_text(enum win32_reason reason)
{
        switch (reason) {
        case WIN32_OK:
                return "no failure";
        case WIN32_NO_STUB:
                return "no processor start block and no page-table root (not booted yet, or not "
                       "Windows)";
        case WIN32_STUB_STALE:
                return "processor start blocks lead to no kernel";
        case WIN32_ROOTS_REJECTED:
                return "what looks like page-table roots leads to no kernel";
        case WIN32_KCR3_UNREADABLE:
                return "the page-table root is not in RAM";
        case WIN32_KCR3_NOT_A_ROOT:
                return "the page-table root maps no kernel half";
        case WIN32_NO_KERNEL_IMAGE:
                return "no image named ntoskrnl.exe is mapped";
        case WIN32_KERNEL_DAMAGED:
                return "the kernel image's headers do not hold together";
        case WIN32_NO_SYSTEM_PROCESS:
                return "PsInitialSystemProcess is missing or leads nowhere";
        case WIN32_OFFSETS_UNKNOWN:
                return "too little is known about this build's process objects";
        case WIN32_OFFSETS_CONTRADICT:
                return "two sources disagree about this build's process objects";
        case WIN32_SYSTEM_MISSHAPEN:
                return "the System process does not look like one";
        case WIN32_NO_SHARED_DATA:
                return "KUSER_SHARED_DATA cannot be read";
        case WIN32_PROCESS_LIST_BROKEN:
                return "the process list does not hold together";
        case WIN32_LAYOUT_WRONG:
                return "page tables are not where this machine type puts RAM";
        case WIN32_OUT_OF_MEMORY:
                return "out of memory";
        case WIN32_CANCELED:
                return "canceled";
        }
        return "unknown reason";
}
