/*
 * guest_windows.h - the least Windows that the core believes in, built into a guest image
 *
 * A kernel image with its exports, KUSER_SHARED_DATA, the process list, and a producer with a region. Not realistic
 * beyond that: every part is where a test can reach it and break it.
 */
#ifndef GUEST_WINDOWS_H
#define GUEST_WINDOWS_H

#include "guest_image.h"
#include "layouts.h"
#include "vgpu_perception.h"

#define WINDOWS_KERNEL_BASE  UINT64_C(0xfffff80342000000)
#define WINDOWS_KERNEL_BYTES UINT64_C(0x5000)
#define WINDOWS_SHARED_VA    UINT64_C(0xfffff78000000000)
#define WINDOWS_POOL_VA      UINT64_C(0xffff9a0000000000)
#define WINDOWS_STUB_GPA     UINT64_C(0x13000)
#define WINDOWS_SELF_INDEX   0x1edu

/* RVAs in the image. */
#define RVA_NT_HEADERS 0x80u
#define RVA_CODE       0x1000u /* 64 bytes an export */
#define RVA_BUILD      0x2000u
#define RVA_SYSTEM     0x2008u
#define RVA_LIST_HEAD  0x2010u
#define RVA_EXPORTS    0x3000u

#define REGION_GVA UINT64_C(0x00000231a0000000)

enum {
        EXPORT_BUILD,
        EXPORT_CREATE_TIME,
        EXPORT_EXIT_STATUS,
        EXPORT_PID,
        EXPORT_NAME,
        EXPORT_PPID,
        EXPORT_SYSTEM,
        N_EXPORTS,
};

struct windows_config {
        uint32_t build;
        struct win32_offsets offsets; /* as the guest has them */
        struct win32_offsets
                code; /* as the accessors say; a 0 makes that accessor another function */
        bool no_stub;
        unsigned levels;  /* of page tables; 0: 4 */
        size_t ram_bytes; /* 0: enough for a region and some processes */
};

struct guest_process {
        uint64_t eprocess;
        uint64_t cr3;
        uint32_t pid;
};

struct guest_windows {
        struct guest_image image;
        struct windows_config config;
        uint64_t kcr3;
        struct guest_process system;
        struct guest_process last; /* tail of the list */
        unsigned n_processes;
        uint64_t now; /* CreateTime of the next process */
};

/* What the table knows of @build, told by the accessors too. */
struct windows_config windows_known(uint32_t build);

/* A build in no table, with offsets in no layout. */
struct windows_config windows_future(void);

/* Kernel, KUSER_SHARED_DATA, System (4) and smss.exe (400). */
void windows_init(struct guest_windows *w, const struct windows_config *config);
void windows_deinit(struct guest_windows *w);

struct guest_process windows_process(struct guest_windows *w, uint32_t pid, const char *name);

/* Lets a root refer to itself, as all of Windows' do. Not there unless a test asks: most need none. */
void windows_self_reference(struct guest_windows *w, uint64_t root);

/* Address of a field of a process, as physical memory. */
uint64_t windows_field(struct guest_windows *w, const struct guest_process *p, uint32_t offset);
void windows_exit(struct guest_windows *w, const struct guest_process *p);
void windows_kernel_write(struct guest_windows *w, uint64_t gva, const void *src, size_t len);

/* Sets InterruptTime, in 100 ns. */
void windows_clock(struct guest_windows *w, uint64_t interrupt_time);

/* Out of the list, as RemoveEntryList() does it. */
void windows_unlink(struct guest_windows *w, const struct guest_process *p);

/* ---- a region ---- */

struct guest_region {
        struct guest_windows *w;
        struct guest_process proc;
        uint64_t gva;
        vgpu_producer_t *block; /* in the array */
        uint64_t slot_stride;
        uint32_t slot_count;
        uint64_t frame_id;
};

#define TEST_STRIDE_BYTES UINT64_C(0x4000)

/* Pages of slots are scattered: neighbours in the region are not neighbours in RAM. */
void region_init(struct guest_region *r, struct guest_windows *w, const struct guest_process *p,
        uint64_t gva, uint64_t slot_stride, uint32_t slot_count);
void region_seal_identity(vgpu_producer_t *block);

/* Publish a frame into the next slot; its bytes follow from its frame_id. */
void region_publish(struct guest_region *r, uint32_t width, uint32_t height, uint32_t stride);
uint8_t frame_byte(uint64_t frame_id, size_t offset);
void region_write_slot(
        struct guest_region *r, uint32_t slot, size_t offset, const void *src, size_t len);
void assert_frame(const uint8_t *bytes, size_t len, uint64_t frame_id);

/* Windows, a producer (pid 4242) and a region of two slots at REGION_GVA with one 32x16 frame. */
void guest_of(struct guest_windows *w, struct guest_region *r, const struct windows_config *config);

/* The same as build 19045. */
void standard_guest(struct guest_windows *w, struct guest_region *r);

#endif /* GUEST_WINDOWS_H */
