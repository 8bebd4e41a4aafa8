/*
 * guest_windows.c - the least Windows that the core believes in (see guest_windows.h)
 */
#include <string.h>

#include "guest_windows.h"

#define RAM_BYTES 0x1a0000u
#define EPOCH     UINT64_C(133500000000000000) /* in 2024 */
#define SECOND    UINT64_C(10000000)

static const char *const export_names[N_EXPORTS] = {
        [EXPORT_BUILD] = "NtBuildNumber",
        [EXPORT_CREATE_TIME] = "PsGetProcessCreateTimeQuadPart",
        [EXPORT_EXIT_STATUS] = "PsGetProcessExitStatus",
        [EXPORT_PID] = "PsGetProcessId",
        [EXPORT_NAME] = "PsGetProcessImageFileName",
        [EXPORT_PPID] = "PsGetProcessInheritedFromUniqueProcessId",
        [EXPORT_SYSTEM] = "PsInitialSystemProcess",
};

struct windows_config windows_known(uint32_t build)
{
        struct windows_config c = { .build = build };

        for (size_t i = 0; i < win32_n_layouts; i++) {
                if (win32_layouts[i].build == build)
                        c.offsets = c.code = win32_layouts[i].offsets;
        }
        assert_true(c.offsets.pid != 0);
        return c;
}

struct windows_config windows_future(void)
{
        struct windows_config c = {
                .build = 31337,
                .offsets = { .pid = 0x1e0,
                        .links = 0x1e8,
                        .ppid = 0x70,
                        .name = 0x3a8,
                        .create_time = 0x218,
                        .exit_status = 0x5a4,
                        .exit_time = 0x610 },
        };

        c.code = c.offsets;
        return c;
}

void windows_kernel_write(struct guest_windows *w, uint64_t gva, const void *src, size_t len)
{
        image_write(&w->image, w->kcr3, gva, src, len);
}

static void put32(struct guest_windows *w, uint64_t gva, uint32_t value)
{
        windows_kernel_write(w, gva, &value, sizeof(value));
}

static void put64(struct guest_windows *w, uint64_t gva, uint64_t value)
{
        windows_kernel_write(w, gva, &value, sizeof(value));
}

static void build_headers(struct guest_windows *w)
{
        uint64_t nt = WINDOWS_KERNEL_BASE + RVA_NT_HEADERS;

        put32(w, WINDOWS_KERNEL_BASE, 0x5a4d);
        put32(w, WINDOWS_KERNEL_BASE + 60, RVA_NT_HEADERS);
        put32(w, nt, 0x4550);
        put32(w, nt + 4, 0x8664);
        put32(w, nt + 8, 0x65000000 + w->config.build); /* time stamp */
        put32(w, nt + 20, 240);
        put32(w, nt + 24, 0x20b);
        put32(w, nt + 24 + 56, WINDOWS_KERNEL_BYTES);
        put32(w, nt + 24 + 108, 16);
        put32(w, nt + 24 + 112, RVA_EXPORTS);
        put32(w, nt + 24 + 116, 0x1000);
}

static void build_exports(struct guest_windows *w)
{
        const uint32_t functions = RVA_EXPORTS + 0x100, names = RVA_EXPORTS + 0x140,
                       ordinals = RVA_EXPORTS + 0x180;
        uint32_t text = RVA_EXPORTS + 0x200;
        uint64_t base = WINDOWS_KERNEL_BASE, dir = base + RVA_EXPORTS;

        windows_kernel_write(w, base + text, "ntoskrnl.exe", 13);
        put32(w, dir + 12, text);
        put32(w, dir + 20, N_EXPORTS);
        put32(w, dir + 24, N_EXPORTS);
        put32(w, dir + 28, functions);
        put32(w, dir + 32, names);
        put32(w, dir + 36, ordinals);
        for (unsigned i = 0; i < N_EXPORTS; i++) {
                uint16_t ordinal = N_EXPORTS - 1 - i; /* not the order of the names */
                uint32_t rva = i == EXPORT_BUILD    ? RVA_BUILD
                               : i == EXPORT_SYSTEM ? RVA_SYSTEM
                                                    : RVA_CODE + i * 64;

                text += 64;
                windows_kernel_write(w, base + text, export_names[i], strlen(export_names[i]) + 1);
                put32(w, base + names + 4 * i, text);
                windows_kernel_write(w, base + ordinals + 2 * i, &ordinal, sizeof(ordinal));
                put32(w, base + functions + 4 * ordinal, rva);
        }
}

static void build_accessor(
        struct guest_windows *w, unsigned which, const char *opcode, uint32_t offset)
{
        uint64_t at = WINDOWS_KERNEL_BASE + RVA_CODE + which * 64;
        size_t n = strlen(opcode);

        if (offset == 0) {
                windows_kernel_write(w, at, "\x48\x89\x5c\x24\x08\x57", 6);
                return;
        }
        windows_kernel_write(w, at, opcode, n);
        if (offset < 0x80) {
                uint8_t disp8[] = { 0x41, offset, 0xc3 };

                windows_kernel_write(w, at + n, disp8, sizeof(disp8));
                return;
        }
        windows_kernel_write(w, at + n, "\x81", 1);
        put32(w, at + n + 1, offset);
        windows_kernel_write(w, at + n + 5, "\xc3", 1);
}

static void build_kernel(struct guest_windows *w)
{
        const struct win32_offsets *code = &w->config.code;

        for (uint64_t rva = 0; rva < WINDOWS_KERNEL_BYTES; rva += GVA_PAGE_BYTES)
                image_map(&w->image, w->kcr3, WINDOWS_KERNEL_BASE + rva, image_page(&w->image), 1,
                        PTE_W);
        build_headers(w);
        build_exports(w);
        build_accessor(w, EXPORT_PID, "\x48\x8b", code->pid);
        build_accessor(w, EXPORT_NAME, "\x48\x8d", code->name);
        build_accessor(w, EXPORT_PPID, "\x48\x8b", code->ppid);
        build_accessor(w, EXPORT_CREATE_TIME, "\x48\x8b", code->create_time);
        build_accessor(w, EXPORT_EXIT_STATUS, "\x8b", code->exit_status);
        put32(w, WINDOWS_KERNEL_BASE + RVA_BUILD, 0xf0000000 | w->config.build);
}

static void build_shared(struct guest_windows *w)
{
        uint32_t major = w->config.build >= 10240 ? 10 : 6;

        image_map(&w->image, w->kcr3, WINDOWS_SHARED_VA, image_page(&w->image), 1, 0);
        put32(w, WINDOWS_SHARED_VA + 0x08, 0x11223344); /* InterruptTime */
        put32(w, WINDOWS_SHARED_VA + 0x0c, 7);
        put32(w, WINDOWS_SHARED_VA + 0x10, 7);
        put32(w, WINDOWS_SHARED_VA + 0x14, (uint32_t)EPOCH); /* SystemTime */
        put32(w, WINDOWS_SHARED_VA + 0x18, EPOCH >> 32);
        put32(w, WINDOWS_SHARED_VA + 0x1c, EPOCH >> 32);
        put32(w, WINDOWS_SHARED_VA + 0x26c, major);
        if (major == 10) {
                put32(w, WINDOWS_SHARED_VA + 0x260, w->config.build);
                put32(w, WINDOWS_SHARED_VA + 0x2c4, 77); /* BootId */
        }
}

static void build_stub(struct guest_windows *w)
{
        image_put64(&w->image, WINDOWS_STUB_GPA, UINT64_C(0x00000001000600e9) | 0x4d00);
        image_put64(&w->image, WINDOWS_STUB_GPA + 0x70, WINDOWS_KERNEL_BASE + RVA_CODE);
        image_put64(&w->image, WINDOWS_STUB_GPA + 0xa0, w->kcr3);
}

/* Between the tail and the head, as InsertTailList() does it. */
static void link_process(struct guest_windows *w, uint64_t links)
{
        uint64_t head = WINDOWS_KERNEL_BASE + RVA_LIST_HEAD;
        uint64_t tail = w->last.eprocess ? w->last.eprocess + w->config.offsets.links : head;

        put64(w, links, head);
        put64(w, links + 8, tail);
        put64(w, tail, links);
        put64(w, head + 8, links);
}

struct guest_process windows_process(struct guest_windows *w, uint32_t pid, const char *name)
{
        const struct win32_offsets *o = &w->config.offsets;
        struct guest_process p = {
                .eprocess = WINDOWS_POOL_VA + w->n_processes * GVA_PAGE_BYTES,
                .pid = pid,
                .cr3 = pid == 4 ? w->kcr3 : image_page(&w->image),
        };

        if (pid != 4) /* every process maps the kernel half as System does */
                memcpy((uint8_t *)image_at(&w->image, p.cr3) + 2048,
                        (uint8_t *)image_at(&w->image, w->kcr3) + 2048, 2048);
        image_map(&w->image, w->kcr3, p.eprocess, image_page(&w->image), 1, PTE_W);
        put64(w, p.eprocess + o->pid, pid);
        put64(w, p.eprocess + o->ppid, pid == 4 ? 0 : 4);
        put64(w, p.eprocess + EPROCESS_DIRECTORY_TABLE_BASE, p.cr3 | 2); /* PCID */
        put64(w, p.eprocess + o->create_time, w->now += SECOND);
        put32(w, p.eprocess + o->exit_status, STATUS_PENDING);
        windows_kernel_write(w, p.eprocess + o->name, name, strnlen(name, 15));
        link_process(w, p.eprocess + o->links);
        w->last = p;
        w->n_processes++;
        return p;
}

void windows_init(struct guest_windows *w, const struct windows_config *config)
{
        memset(w, 0, sizeof(*w));
        w->config = *config;
        w->now = EPOCH;
        image_init(&w->image, config->ram_bytes ? config->ram_bytes : RAM_BYTES);
        if (config->levels)
                w->image.mem.levels = config->levels;
        w->kcr3 = image_page(&w->image);
        build_kernel(w);
        build_shared(w);
        if (!config->no_stub)
                build_stub(w);
        w->system = windows_process(w, 4, "System");
        put64(w, WINDOWS_KERNEL_BASE + RVA_SYSTEM, w->system.eprocess);
        windows_process(w, 400, "smss.exe");
}

void windows_self_reference(struct guest_windows *w, uint64_t root)
{
        image_put64(&w->image, root + WINDOWS_SELF_INDEX * 8, root | PTE_P | PTE_W);
}

void windows_deinit(struct guest_windows *w)
{
        image_deinit(&w->image);
}

uint64_t windows_field(struct guest_windows *w, const struct guest_process *p, uint32_t offset)
{
        return image_translate(&w->image, w->kcr3, p->eprocess + offset);
}

void windows_exit(struct guest_windows *w, const struct guest_process *p)
{
        put32(w, p->eprocess + w->config.offsets.exit_status, 0);
        put64(w, p->eprocess + w->config.offsets.exit_time, w->now);
}

void windows_unlink(struct guest_windows *w, const struct guest_process *p)
{
        uint64_t links[2];

        image_read(&w->image, w->kcr3, p->eprocess + w->config.offsets.links, links, sizeof(links));
        put64(w, links[0] + 8, links[1]);
        put64(w, links[1], links[0]);
}

static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < len; i++) {
                crc ^= bytes[i];
                for (int bit = 0; bit < 8; bit++)
                        crc = (crc >> 1) ^ (UINT32_C(0x82f63b78) & -(crc & 1));
        }
        return ~crc;
}

void region_seal_identity(vgpu_producer_t *block)
{
        block->identity_crc =
                crc32c((const uint8_t *)block, offsetof(vgpu_producer_t, identity_crc));
}

static void map_user(struct guest_region *r, uint64_t offset)
{
        image_map(&r->w->image, r->proc.cr3, r->gva + offset, image_page(&r->w->image), 1,
                PTE_W | PTE_U);
        image_page(&r->w->image); /* so that no two pages of the region touch */
}

void region_init(struct guest_region *r, struct guest_windows *w, const struct guest_process *p,
        uint64_t gva, uint64_t slot_stride, uint32_t slot_count)
{
        *r = (struct guest_region){
                .w = w,
                .proc = *p,
                .gva = gva,
                .slot_stride = slot_stride,
                .slot_count = slot_count,
        };
        map_user(r, 0);
        map_user(r, VGPU_CONTROL_OFFSET);
        for (uint64_t at = 0; at < slot_count * slot_stride; at += GVA_PAGE_BYTES)
                map_user(r, VGPU_RING_OFFSET + at);
        r->block = image_at(&w->image, image_translate(&w->image, p->cr3, gva));
        *r->block = (vgpu_producer_t){
                .magic = VGPU_MAGIC,
                .abi_version = VGPU_ABI_VERSION,
                .producer_bytes = VGPU_PRODUCER_BYTES,
                .region_bytes = VGPU_RING_OFFSET + slot_count * slot_stride,
                .control_offset = VGPU_CONTROL_OFFSET,
                .control_bytes = VGPU_CONTROL_BYTES,
                .ring_offset = VGPU_RING_OFFSET,
                .slot_stride = slot_stride,
                .slot_count = slot_count,
                .heartbeat_period_ms = VGPU_HEARTBEAT_PERIOD_MS,
                .producer_pid = p->pid,
                .heartbeat = 1000,
                .run_epoch = 1,
                .status = VGPU_ST_RUNNING,
                .latest = VGPU_SLOT_NONE,
        };
        region_seal_identity(r->block);
}

uint8_t frame_byte(uint64_t frame_id, size_t offset)
{
        return (uint8_t)(frame_id * 59 + offset * 7 + (offset >> 8) * 13 + 1);
}

void region_write_slot(
        struct guest_region *r, uint32_t slot, size_t offset, const void *src, size_t len)
{
        image_write(&r->w->image, r->proc.cr3,
                r->gva + VGPU_RING_OFFSET + slot * r->slot_stride + offset, src, len);
}

void region_publish(struct guest_region *r, uint32_t width, uint32_t height, uint32_t stride)
{
        uint32_t slot =
                r->block->latest == VGPU_SLOT_NONE ? 0 : (r->block->latest + 1) % r->slot_count;
        vgpu_slot_t *line = &r->block->slot[slot];

        line->seq |= 1;
        line->width = width;
        line->height = height;
        line->stride = stride;
        line->format = VGPU_FMT_BGRA8888;
        line->frame_id = ++r->frame_id;
        line->timestamp_ns = r->frame_id * 1000;
        line->run_epoch = r->block->run_epoch;
        for (size_t i = 0; i < (size_t)height * stride && i < r->slot_stride; i++) {
                uint8_t byte = frame_byte(r->frame_id, i);

                region_write_slot(r, slot, i, &byte, 1);
        }
        line->seq++;
        r->block->latest = slot;
        r->block->latest_frame_id = r->frame_id;
}

void assert_frame(const uint8_t *bytes, size_t len, uint64_t frame_id)
{
        for (size_t i = 0; i < len; i++) {
                if (bytes[i] != frame_byte(frame_id, i))
                        fail_msg("byte %zu of frame %llu is another's", i,
                                (unsigned long long)frame_id);
        }
}

void guest_of(struct guest_windows *w, struct guest_region *r, const struct windows_config *config)
{
        struct guest_process p;

        windows_init(w, config);
        p = windows_process(w, 4242, "producer.exe");
        windows_process(w, 5000, "explorer.exe");
        region_init(r, w, &p, REGION_GVA, TEST_STRIDE_BYTES, 2);
        region_publish(r, 32, 16, 128);
}

void standard_guest(struct guest_windows *w, struct guest_region *r)
{
        struct windows_config config = windows_known(19045);

        guest_of(w, r, &config);
}

void windows_clock(struct guest_windows *w, uint64_t interrupt_time)
{
        put32(w, WINDOWS_SHARED_VA + 0x10, interrupt_time >> 32);
        put32(w, WINDOWS_SHARED_VA + 0x08, (uint32_t)interrupt_time);
        put32(w, WINDOWS_SHARED_VA + 0x0c, interrupt_time >> 32);
}
