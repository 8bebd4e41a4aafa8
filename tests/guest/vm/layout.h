/*
 * layout.h - where the guest kernel lives, for C, assembler and the linker script alike
 *
 * The image is loaded well above the low RAM where a host looks for Windows' first structures. All of RAM is mapped
 * once more from VM_DIRECT_BASE on, in a kernel PML4 slot of its own that every process shares; the image runs
 * there, so a change of cr3 never pulls the ground from under it.
 */
#ifndef VGPU_VM_LAYOUT_H
#define VGPU_VM_LAYOUT_H

#define VM_IMAGE_PHYS  0x4000000 /* 64 MiB; the boot tables reach 1 GiB */
#define VM_DIRECT_BASE 0xffff900000000000
#define VM_DIRECT_SLOT 288 /* bits 47..39 of VM_DIRECT_BASE */
#define VM_STACK_BYTES 0x10000

#define VM_SEL_CODE 0x08
#define VM_SEL_DATA 0x10
#define VM_SEL_TSS  0x18

#define VM_VECTOR_PAGE_FAULT 14
#define VM_VECTOR_TIMER      0x20 /* where the first PIC's line 0 is moved to */
#define VM_N_VECTORS         0x30 /* exceptions and both PICs */

#endif /* VGPU_VM_LAYOUT_H */
