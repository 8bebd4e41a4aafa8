/*
 * cmos.c - the boot counter, in bytes of the clock chip that neither QEMU nor the firmware uses
 */
#include "cmos.h"

#include "cpu.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71
#define CMOS_AT                                                                                    \
        0x68 /* four bytes counter, four bytes the same inverted: zeroed CMOS is not a count */
#define CMOS_NMI_OFF 0x80

static uint32_t read32(unsigned int at)
{
        uint32_t value = 0;

        for (unsigned int i = 0; i < 4; i++) {
                cpu_out8(CMOS_INDEX, (uint8_t)(CMOS_NMI_OFF | (at + i)));
                value |= (uint32_t)cpu_in8(CMOS_DATA) << 8 * i;
        }
        return value;
}

static void write32(unsigned int at, uint32_t value)
{
        for (unsigned int i = 0; i < 4; i++) {
                cpu_out8(CMOS_INDEX, (uint8_t)(CMOS_NMI_OFF | (at + i)));
                cpu_out8(CMOS_DATA, (uint8_t)(value >> 8 * i));
        }
}

uint32_t cmos_count_boot(void)
{
        uint32_t count = read32(CMOS_AT);

        if (read32(CMOS_AT + 4) != ~count)
                count = 0;
        count++;
        write32(CMOS_AT, count);
        write32(CMOS_AT + 4, ~count);
        return count;
}
