/* spin.h - what a loop that waits without sleeping does meanwhile: it leaves the core's other thread, and the bus, in peace */
#ifndef VGPU_SPIN_H
#define VGPU_SPIN_H

static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
}

#endif /* VGPU_SPIN_H */
