/*
 * trap.S - one stub for each vector
 *
 * Exceptions end in trap_report(), which never returns. The timer interrupts code that is free to use SSE and calls
 * code that is, so its stub keeps the whole FPU image beside the registers the C calling convention lets a callee
 * spoil.
 */
#include "layout.h"

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
        call clock_interrupt
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
        popq %rbp
        iretq

        .section .note.GNU-stack, "", @progbits
