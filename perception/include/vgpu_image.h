/*
 * vgpu_image.h - memory of a guest that was written to a file, for looking at it later
 *
 * A support case comes as a file: the raw bytes of RAM, a core of QEMU's dump-guest-memory, or a crash dump that Windows
 * wrote itself. Opened, each is a source like any other (vgpu_source.h), read-only, laid out as its headers say. Headers
 * are the sender's, and are believed as little as guest memory is: all offsets are checked against the file.
 *
 * Facts: the ELF specification; DUMP_HEADER64 and the bitmap header of 64-bit crash dumps as the public forensic tools read
 * them (kdmp-parser, Volatility).
 */
#ifndef VGPU_IMAGE_H
#define VGPU_IMAGE_H

#include "vgpu_source.h"

enum vgpu_image_kind {
        VGPU_IMAGE_RAW,          /* nothing but RAM: the layout is the machine type's */
        VGPU_IMAGE_ELF_CORE,     /* QEMU's dump-guest-memory, virsh dump --memory-only */
        VGPU_IMAGE_CRASH_FULL,   /* Windows, complete memory dump, runs of pages */
        VGPU_IMAGE_CRASH_BITMAP, /* the same with a bitmap of pages (Windows 8 and later) */
};

/* A few words for a person. Static storage. */
const char *vgpu_image_kind_text(enum vgpu_image_kind kind);

struct vgpu_image_info {
        enum vgpu_image_kind kind;
        uint64_t kcr3; /* the page-table root a crash dump's header names, 0: none */
};

/**
 * vgpu_image_open() - open a file of any of these kinds
 * @machine:    for raw bytes
 * @ram_size:   for raw bytes; 0: the file's size
 * @ret_info:   written on success; may be NULL
 * @reterr_why: written on failure only; may be NULL
 *
 * What begins like no other kind is raw bytes. A crash dump without all of memory (a minidump, a kernel dump) is
 * VGPU_SOURCE_IMAGE_KIND.
 *
 * Return: heap-owned source for vgpu_source_close(), or NULL.
 */
vgpu_source *vgpu_image_open(const char *path, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_image_info *ret_info, struct vgpu_source_failure *reterr_why);

#endif /* VGPU_IMAGE_H */
