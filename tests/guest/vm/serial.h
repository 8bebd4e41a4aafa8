/*
 * serial.h - COM1, polled: the guest's only way to talk to people
 */
#ifndef VGPU_VM_SERIAL_H
#define VGPU_VM_SERIAL_H

#include <stddef.h>
#include <stdint.h>

/** serial_init() - 115200 8N1, FIFOs on, no interrupts */
void serial_init(void);

/** serial_write() - send @len bytes, waiting for room; a newline goes out as it is */
void serial_write(const char *bytes, size_t len);

/** serial_puts() - send a terminated string */
void serial_puts(const char *s);

/** serial_put_hex() - send 0x and sixteen digits: needs no stack to speak of, for the trap handlers */
void serial_put_hex(uint64_t value);

/**
 * serial_line() - the next complete line, if one has come
 * @ret_line: the line without its end, terminated; valid until the next call
 *
 * Never waits. A line longer than the buffer is cut there, so it reaches the command parser and is refused.
 *
 * Return: 1 with a line, 0 without.
 */
int serial_line(char **ret_line);

#endif /* VGPU_VM_SERIAL_H */
