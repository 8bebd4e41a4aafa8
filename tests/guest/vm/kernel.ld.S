/*
 * The guest kernel's image: the 32-bit entry and its data where they are loaded, everything else linked at its
 * place in the direct map. Physical addresses (AT) are what QEMU's loader goes by.
 */
#include "layout.h"

ENTRY(pvh_entry)

PHDRS
{
        note PT_NOTE FLAGS(4);
        boot PT_LOAD FLAGS(5);
        bootdata PT_LOAD FLAGS(6);
        text PT_LOAD FLAGS(5);
        rodata PT_LOAD FLAGS(4);
        data PT_LOAD FLAGS(6);
}

SECTIONS
{
        . = VM_IMAGE_PHYS;
        .note.pvh : { KEEP(*(.note.pvh)) } :boot :note
        .boot.text : { *(.boot.text) } :boot
        .boot.data ALIGN(4096) : { *(.boot.data) } :bootdata

        . = ALIGN(4096) + VM_DIRECT_BASE;
        .text : AT(ADDR(.text) - VM_DIRECT_BASE) { *(.text .text.*) } :text
        .rodata ALIGN(4096) : AT(ADDR(.rodata) - VM_DIRECT_BASE) { *(.rodata .rodata.*) } :rodata
        .data ALIGN(4096) : AT(ADDR(.data) - VM_DIRECT_BASE) { *(.data .data.*) *(.got .got.plt) } :data
        .bss : AT(ADDR(.bss) - VM_DIRECT_BASE) { *(.bss .bss.* COMMON) } :data
        . = ALIGN(4096);
        vm_image_end = .;

        /DISCARD/ : { *(.comment) *(.eh_frame*) *(.note.gnu*) *(.note.GNU*) }
}
