/*
 * guard.h - touch a mapped file that may shrink
 *
 * A page of a map beyond the end of its file is a SIGBUS. The file is another process' to truncate, so that is an event
 * here, not a crash: a guarded body that hits one inside the named range is left where it stands.
 */
#ifndef VGPU_SOURCE_GUARD_H
#define VGPU_SOURCE_GUARD_H

#include <stddef.h>

/**
 * guard_install() - take SIGBUS, if it is not ours already
 *
 * To be called before each map is used: whoever took the signal since (a crash reporter, a test framework) becomes the
 * one to whom it is passed on. Thread-safe.
 *
 * Return: 0 or negative errno.
 */
int guard_install(void);

/**
 * guard_run() - call @body(@arg) and come back even if it meets a SIGBUS in [@base, @base + @len)
 *
 * @body is abandoned in the middle: it must hold nothing (no lock, no memory), and call nothing that does. Guards do not
 * nest. Costs a sigsetjmp() without a system call.
 *
 * Return: 0 (the body returned), or -EFAULT (it was abandoned).
 */
int guard_run(const void *base, size_t len, void (*body)(void *arg), void *arg);

#endif /* VGPU_SOURCE_GUARD_H */
