/*
 * serial.c - COM1, polled
 *
 * Commands come a few times a minute; an interrupt for them would only be one more thing to go wrong.
 */
#include "serial.h"

#include <stdbool.h>

#include "cpu.h"

#define COM1     0x3f8
#define COM_DATA (COM1 + 0)
#define COM_IER  (COM1 + 1)
#define COM_FCR  (COM1 + 2)
#define COM_LCR  (COM1 + 3)
#define COM_MCR  (COM1 + 4)
#define COM_LSR  (COM1 + 5)

#define LCR_8N1       0x03
#define LCR_DLAB      0x80
#define FCR_ON_CLEAR  0x07
#define MCR_DTR_RTS   0x03
#define LSR_DATA      0x01
#define LSR_THR_EMPTY 0x20

static char line[128];
static size_t line_len;

void serial_init(void)
{
        cpu_out8(COM_IER, 0);
        cpu_out8(COM_LCR, LCR_DLAB | LCR_8N1);
        cpu_out8(COM_DATA, 1); /* divisor 1: 115200 */
        cpu_out8(COM_IER, 0);
        cpu_out8(COM_LCR, LCR_8N1);
        cpu_out8(COM_FCR, FCR_ON_CLEAR);
        cpu_out8(COM_MCR, MCR_DTR_RTS);
}

void serial_write(const char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                while (!(cpu_in8(COM_LSR) & LSR_THR_EMPTY))
                        ;
                cpu_out8(COM_DATA, (uint8_t)bytes[i]);
        }
}

void serial_puts(const char *s)
{
        while (*s)
                serial_write(s++, 1);
}

void serial_put_hex(uint64_t value)
{
        serial_puts("0x");
        for (int shift = 60; shift >= 0; shift -= 4)
                serial_write(&"0123456789abcdef"[value >> shift & 15], 1);
}

int serial_line(char **ret_line)
{
        while (cpu_in8(COM_LSR) & LSR_DATA) {
                char c = (char)cpu_in8(COM_DATA);

                if (c != '\n' && c != '\r') {
                        if (line_len < sizeof(line) - 1)
                                line[line_len++] = c;
                        continue;
                }
                if (line_len == 0)
                        continue;
                line[line_len] = '\0';
                line_len = 0;
                *ret_line = line;
                return 1;
        }
        return 0;
}
