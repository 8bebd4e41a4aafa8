/*
 * boot.S - from the PVH entry to C
 *
 * QEMU finds the note, loads the image and jumps to its address in 32-bit protected mode, paging off, with the start
 * info's physical address in ebx. The first page tables are data, finished by the assembler and the linker: the first
 * GiB, once where it is and once at VM_DIRECT_BASE. They last until ram.c has mapped all of RAM.
 */
#include "layout.h"

#define CR0_VALUE 0x80010033 /* PG WP NE ET MP PE */
#define CR4_SET   0x620      /* OSXMMEXCPT OSFXSR PAE */
#define MSR_EFER  0xc0000080
#define EFER_SET  0x900      /* NXE LME: the machine's own tables use no-execute */

        .section .note.pvh, "a", @note
        .balign 4
        .long 4, 8, 18 /* name and value lengths, XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .quad pvh_entry

        .section .boot.text, "ax", @progbits
        .code32
        .globl pvh_entry
pvh_entry:
        cld
        cli
        movl $boot_pml4, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $CR4_SET, %eax
        movl %eax, %cr4
        movl $MSR_EFER, %ecx
        rdmsr
        orl $EFER_SET, %eax
        wrmsr
        movl $CR0_VALUE, %eax
        movl %eax, %cr0
        lgdt boot_gdtr
        ljmp $VM_SEL_CODE, $long_entry

        .code64
long_entry:
        movl $VM_SEL_DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl %eax, %fs
        movl %eax, %gs
        movabsq $vm_stack_top, %rsp
        movl %ebx, %edi
        xorl %ebp, %ebp
        movabsq $vm_main, %rax
        call *%rax
        ud2

        .section .boot.data, "aw", @progbits
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00af9b000000ffff /* VM_SEL_CODE: ring 0, 64-bit */
        .quad 0x00cf93000000ffff /* VM_SEL_DATA */
boot_gdtr:
        .word . - boot_gdt - 1
        .quad boot_gdt

        .balign 4096
boot_pml4:
        .quad boot_pdpt + 3
        .fill VM_DIRECT_SLOT - 1, 8, 0
        .quad boot_pdpt + 3
        .fill 511 - VM_DIRECT_SLOT, 8, 0
boot_pdpt:
        .quad boot_pd + 3
        .fill 511, 8, 0
boot_pd:
        .set at, 0
        .rept 512
        .quad at + 0x83 /* 2 MiB, writable, present */
        .set at, at + 0x200000
        .endr

        .section .bss.stack, "aw", @nobits
        .balign 16
        .skip VM_STACK_BYTES
vm_stack_top:

        .section .note.GNU-stack, "", @progbits
