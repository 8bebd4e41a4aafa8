/*
 * trap.S - one stub for each vector
 *
 * Other exceptions end in trap_report(), which never returns. The timer interrupts code that is free to use SSE and calls
 * code that is, so its stub keeps the whole FPU image beside the registers the C calling convention lets a callee
 * spoil. A page fault may be one that somebody can put right, so its stub does the same and goes back when it was.
 */
#include "layout.h"

/* Call a C function with everything kept that it may spoil; rbp is left pushed. */
        .macro call_c function
        pushq %rbp
        movq %rsp, %rbp
        pushq %rax
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        subq $512, %rsp
        andq $-16, %rsp
        fxsave64 (%rsp)
        cld
        call \function
        fxrstor64 (%rsp)
        leaq -72(%rbp), %rsp
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rax
        .endm

        .text
        .globl trap_stubs
        .balign 16
trap_stubs:
        .set vector, 0
        .rept VM_N_VECTORS
        .balign 16
        .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || \
            (vector == 29) || (vector == 30)
        .else
        pushq $0 /* where these vectors push an error code */
        .endif
        pushq $vector
        jmp trap_common
        .set vector, vector + 1
        .endr

trap_common:
        popq %rdi            /* vector */
        popq %rsi            /* error code */
        movq (%rsp), %rdx    /* rip */
        movq 24(%rsp), %rcx  /* rsp */
        cld
        andq $-16, %rsp
        call trap_report
        ud2

        .globl trap_timer_stub
        .balign 16
trap_timer_stub:
        call_c clock_interrupt
        popq %rbp
        iretq

        .globl trap_page_fault_stub
        .balign 16
trap_page_fault_stub:
        call_c trap_page_fault
        popq %rbp
        cmpb $0, trap_fault_resolved(%rip)
        je 1f
        addq $8, %rsp /* error code */
        iretq
1:
        pushq $VM_VECTOR_PAGE_FAULT
        jmp trap_common

        .section .note.GNU-stack, "", @progbits
