/*
 * cmos.h - what outlives a reset: the boot counter
 */
#ifndef VGPU_VM_CMOS_H
#define VGPU_VM_CMOS_H

#include <stdint.h>

/**
 * cmos_count_boot() - count this boot
 *
 * The counter lives in the clock chip's battery-backed bytes, so RAM may be overwritten wholesale.
 *
 * Return: 1 for the first boot since power-on, 2 after the first reset and so on.
 */
uint32_t cmos_count_boot(void);

#endif /* VGPU_VM_CMOS_H */
