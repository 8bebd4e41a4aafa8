/*
 * seeds.c - writes the corpora: what fuzzing starts from and what every test run replays
 *
 * seeds FOLDER fills FOLDER/TARGET/ for each target. Guests come from tests/perception; a seed of one is either the whole
 * of it in pieces, for what reads a guest from nothing, or one change to the standard guest, by the name of the change.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz_guest.h"
#include "vgpu_control.h"
#include "vgpu_protocol.h"
#include "vgpu_ring.h"

#define SEED_MAX (64u << 10)
#define GAP      24u /* zeros that end a piece: a header and a bit */

struct seed {
        uint8_t bytes[SEED_MAX];
        size_t len;
};

static const char *folder;

static void put(struct seed *s, const void *bytes, size_t len)
{
        fuzz_require(len <= sizeof(s->bytes) - s->len, "a seed too large");
        memcpy(s->bytes + s->len, bytes, len);
        s->len += len;
}

static void save(const struct seed *s, const char *target, const char *name)
{
        char path[512];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", folder, target);
        fuzz_require(mkdir(path, 0777) == 0 || errno == EEXIST, path);
        snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
        f = fopen(path, "wb");
        fuzz_require(f && fwrite(s->bytes, 1, s->len, f) == s->len && fclose(f) == 0, path);
}

static void piece(struct seed *s, uint64_t at, const void *bytes, size_t len, unsigned when)
{
        struct fuzz_piece p = {
                .page = at / GVA_PAGE_BYTES,
                .offset = at % GVA_PAGE_BYTES,
                .when = when,
                .len = len,
        };

        put(s, &p, sizeof(p));
        put(s, bytes, len);
}

static void piece64(struct seed *s, uint64_t at, uint64_t value, unsigned when)
{
        piece(s, at, &value, sizeof(value), when);
}

static void dump_page(struct seed *s, uint64_t at, const uint8_t *page)
{
        size_t first = 0, last = 0, i;
        bool open = false;

        for (i = 0; i <= GVA_PAGE_BYTES; i++) {
                if (i < GVA_PAGE_BYTES && page[i]) {
                        if (!open)
                                first = i;
                        open = true;
                        last = i;
                } else if (open && (i == GVA_PAGE_BYTES || i - last > GAP)) {
                        piece(s, at + first, page + first, last - first + 1, 0);
                        open = false;
                }
        }
}

static struct seed whole(struct guest_windows *w, uint64_t root, uint64_t gva)
{
        struct fuzz_head head = { .flags = FUZZ_ON_EMPTY, .len = 8192, .root = root, .gva = gva };
        struct seed s = { .len = 0 };

        put(&s, &head, sizeof(head));
        for (uint64_t at = 0; at < w->image.ram_bytes; at += GVA_PAGE_BYTES)
                dump_page(&s, at, w->image.ram + at);
        return s;
}

static struct seed plain(uint8_t choice, uint64_t root, uint64_t gva)
{
        struct fuzz_head head = {
                .choice = choice, .len = TEST_STRIDE_BYTES, .root = root, .gva = gva
        };
        struct seed s = { .len = 0 };

        put(&s, &head, sizeof(head));
        return s;
}

static void open_seeds(void)
{
        struct windows_config configs[] = { windows_known(7601), windows_known(26100),
                windows_future() };
        static const char *const names[] = { "windows-7", "windows-11", "future" };

        for (size_t i = 0; i < 3; i++) {
                struct guest_windows w;
                struct seed s;

                windows_init(&w, &configs[i]);
                s = whole(&w, i == 1 ? w.kcr3 : 0, 0);
                save(&s, "open", names[i]);
                windows_deinit(&w);
        }
}

/* What the last-level entry of the region's second page may say. */
static void entry_seeds(struct fuzz_guest *g)
{
        const uint64_t gva = REGION_GVA + VGPU_RING_OFFSET;
        const uint64_t at = image_entry(&g->w.image, g->r.proc.cr3, gva, 1);
        const uint64_t was = image_get64(&g->w.image, at);
        const struct {
                const char *name;
                uint64_t entry;
        } entries[] = {
                { "present", was },
                { "zero", 0 },
                { "demand-zero", 0x80 },
                { "transition", (was & ~PTE_P) | 0x880 },
                { "prototype", (WINDOWS_POOL_VA << 16) | 0x400 },
                { "prototype-by-vad", UINT64_C(0xffffffff00000000) | 0x400 },
                { "pagefile", UINT64_C(0x1234500000080) },
                { "outside-ram", UINT64_C(0xfffffffff000) | 7 },
                { "itself", (at & PTE_PFN) | 7 },
        };

        for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
                struct seed s = plain(1, 0, gva);

                piece64(&s, at, entries[i].entry, 0);
                save(&s, "walk", entries[i].name);
                s = plain(31, 0, 0);
                piece64(&s, at, entries[i].entry, i % 2 ? 0 : 60 + i);
                save(&s, "sample", entries[i].name);
        }
}

static void walk_seeds(struct fuzz_guest *g)
{
        struct seed s = plain(0, g->w.kcr3, WINDOWS_KERNEL_BASE);

        save(&s, "walk", "kernel");
        piece64(&s, image_entry(&g->w.image, g->w.kcr3, WINDOWS_KERNEL_BASE, 2), 0x2000e3, 0);
        save(&s, "walk", "large");
        s = plain(0, g->w.kcr3, WINDOWS_KERNEL_BASE);
        s.bytes[0] = FUZZ_LEVELS_5 | FUZZ_TWO_PIECES;
        piece64(&s, g->w.kcr3 + 511 * 8, g->w.kcr3 | 3, 0);
        save(&s, "walk", "five-levels");
}

static void process_seeds(struct fuzz_guest *g)
{
        const struct win32_offsets *o = &g->w.config.offsets;
        const uint64_t links = windows_field(&g->w, &g->r.proc, o->links);
        struct seed s = plain(0, 0, 0);

        save(&s, "process", "plain");
        piece64(&s, links, g->r.proc.eprocess + o->links, 0);
        save(&s, "process", "cycle");
        s = plain(0, 0, 0);
        piece64(&s, links + 8, 0, 40);
        save(&s, "process", "torn");
        s = plain(0, 0, 0);
        piece64(&s, windows_field(&g->w, &g->r.proc, o->exit_status), 0, 0);
        save(&s, "process", "exited");
}

static void discover_seeds(struct fuzz_guest *g)
{
        const uint64_t cr3 = g->r.proc.cr3;
        const uint64_t block = image_translate(&g->w.image, cr3, REGION_GVA);
        const uint64_t at = image_entry(&g->w.image, cr3, REGION_GVA, 1);
        struct seed s = plain(0, 0, 999);

        save(&s, "discover", "plain");
        piece(&s, block + offsetof(vgpu_producer_t, magic), "x", 1, 300);
        save(&s, "discover", "magic-goes");
        s = plain(0, 0, 0);
        for (unsigned i = 1; i <= 12; i++)
                piece64(&s, at + 16 * 8 * i, block | 7, 0);
        save(&s, "discover", "mirrors");
        s = plain(0, 0, 0);
        piece64(&s, image_entry(&g->w.image, cr3, REGION_GVA, 3), (cr3 & PTE_PFN) | 7, 0);
        save(&s, "discover", "loop");
}

static void sample_seeds(struct fuzz_guest *g)
{
        const uint64_t block = image_translate(&g->w.image, g->r.proc.cr3, REGION_GVA);
        struct seed s = plain(31, 0, 0);
        vgpu_slot_t line = g->r.block->slot[0];

        save(&s, "sample", "plain");
        line.seq++;
        piece(&s, block + offsetof(vgpu_producer_t, slot), &line, sizeof(line), 90);
        save(&s, "sample", "torn");
        s = plain(31, 0, 0);
        line.seq++;
        line.damage_count = 1;
        line.damage_base = 1;
        line.frame_id = 2;
        piece(&s, block + offsetof(vgpu_producer_t, slot), &line, sizeof(line), 0);
        piece(&s, block + offsetof(vgpu_producer_t, damage), &(vgpu_rect_t){ 1, 1, 2, 2 },
                sizeof(vgpu_rect_t), 0);
        save(&s, "sample", "damage");
        s = plain(31, 0, 0);
        piece64(&s, windows_field(&g->w, &g->r.proc, g->w.config.offsets.exit_status), 0, 100);
        save(&s, "sample", "exit");
}

static void packet(struct seed *s, uint32_t type, uint32_t flags, size_t len, uint32_t word)
{
        struct vgpu_msg_header h = {
                .magic = VGPU_PROTOCOL_MAGIC,
                .type = type,
                .length = len,
                .version = VGPU_PROTOCOL_VERSION,
                .flags = flags,
        };
        uint16_t size = len;
        uint8_t body[256] = { 0 };

        memcpy(body, &word, sizeof(word));
        put(s, &size, sizeof(size));
        put(s, &h, sizeof(h));
        put(s, body, len - sizeof(h));
}

static void protocol_seeds(void)
{
        const uint16_t read_now = 0;
        struct seed s = { .len = 0 };

        packet(&s, VGPU_MSG_HELLO, 0, sizeof(struct vgpu_msg_hello),
                VGPU_WANT_RING | VGPU_WANT_WAKE);
        save(&s, "protocol", "hello");
        put(&s, &read_now, sizeof(read_now));
        packet(&s, VGPU_MSG_STATS, 0, sizeof(struct vgpu_msg_stats), 1);
        packet(&s, VGPU_MSG_QUERY, 0, sizeof(struct vgpu_msg_query), VGPU_QUERY_STATUS);
        packet(&s, VGPU_MSG_RELEASE, 0, sizeof(struct vgpu_msg_release), 1);
        packet(&s, VGPU_MSG_PAGE, 0, sizeof(struct vgpu_msg_header), 0);
        packet(&s, VGPU_MSG_INTENT, 0, sizeof(struct vgpu_msg_intent), 1);
        packet(&s, VGPU_MSG_DROP, 0, sizeof(struct vgpu_msg_drop), 1);
        packet(&s, 0x77, 0, 64, 1);
        save(&s, "protocol", "talk");
        packet(&s, 0x78, VGPU_MSG_REQUIRED, 32, 1);
        save(&s, "protocol", "required");
        s.len = 0;
        packet(&s, VGPU_MSG_QUERY, 0, sizeof(struct vgpu_msg_query), VGPU_QUERY_CLIENTS);
        save(&s, "protocol", "no-hello");
}

static void written(struct seed *s, uint64_t request, uint64_t epoch, uint32_t result, uint32_t gen)
{
        const struct vgpu_control_written msg = {
                .header = { VGPU_PROTOCOL_MAGIC, VGPU_CONTROL_WRITTEN, sizeof(msg),
                        VGPU_PROTOCOL_VERSION, 0, 0 },
                .request = request,
                .epoch = epoch,
                .result = result,
                .ctrl_gen = gen,
        };
        const uint16_t size = sizeof(msg);

        put(s, &size, sizeof(size));
        put(s, &msg, sizeof(msg));
}

static void control_seeds(void)
{
        const uint16_t read_now = 0;
        struct seed s = { .len = 0 };

        packet(&s, VGPU_CONTROL_WRITER, 0, sizeof(struct vgpu_control_writer), 0);
        written(&s, 5, 3, VGPU_CONTROL_DONE, 10);
        save(&s, "control", "done");
        put(&s, &read_now, sizeof(read_now));
        written(&s, 5, 3, VGPU_CONTROL_DONE, 10);
        written(&s, 4, 2, VGPU_CONTROL_STALE, 0);
        written(&s, 6, 3, VGPU_CONTROL_DONE, 10);
        packet(&s, 0x2FE, 0, 40, 1);
        packet(&s, 0x2FF, VGPU_MSG_REQUIRED, 40, 1);
        save(&s, "control", "lies");
        s.len = 0;
        written(&s, 5, 3, VGPU_CONTROL_DONE, 10);
        save(&s, "control", "no-writer");
}

static void ring_seeds(void)
{
        const uint16_t pages = 5;
        struct {
                struct vgpu_ring_header h;
                uint8_t pad[VGPU_RING_PAGE - sizeof(struct vgpu_ring_header)];
                struct vgpu_ring_desc desc[2];
                struct vgpu_ring_change change[4];
        } file = { .h = { .identity = {
                                  .magic = VGPU_RING_MAGIC,
                                  .version = VGPU_RING_VERSION,
                                  .header_bytes = 2 * VGPU_RING_PAGE,
                                  .total_bytes = 4 * VGPU_RING_PAGE,
                                  .slot_offset = 2 * VGPU_RING_PAGE,
                                  .slot_bytes = VGPU_RING_PAGE,
                                  .slot_count = 2,
                                  .desc_offset = VGPU_RING_DESC_OFFSET,
                                  .desc_bytes = sizeof(struct vgpu_ring_desc),
                                  .tick_period_ms = 100,
                                  .generation = 1,
                          } } };
        struct seed s = { .len = 0 };

        for (unsigned i = 0; i < 2; i++)
                file.desc[i] = (struct vgpu_ring_desc){
                        .seq = 2,
                        .n_damage = 1,
                        .serial = 3 + i,
                        .frame_id = 9 + i,
                        .width = 32,
                        .height = 16,
                        .stride = 128,
                        .damage = { { 1, 2, 3, 4 } },
                };
        file.h.publish = VGPU_RING_WORD(4, 1);
        file.h.cursor.serial = file.h.status.serial = file.h.geometry.serial = 1;
        put(&s, &pages, sizeof(pages));
        put(&s, &file, offsetof(__typeof__(file), change));
        save(&s, "ring", "two-slots");
        s.len = sizeof(pages) + sizeof(file.h);
        save(&s, "ring", "no-descriptors");

        /* damage of frames whose slots are gone */
        file.h.identity.features = VGPU_RING_FEATURE_HISTORY;
        file.h.identity.history_offset = VGPU_RING_DESC_OFFSET + sizeof(file.desc);
        file.h.identity.history_bytes = sizeof(file.change[0]);
        file.h.identity.history_count = 4;
        for (unsigned serial = 1; serial <= 4; serial++)
                file.change[serial % 4] = (struct vgpu_ring_change){
                        .seq = 2,
                        .n_damage = 2,
                        .serial = serial,
                        .damage = { { serial, 2, 3, 4 }, { 20, serial, 3, 4 } },
                };
        s.len = 0;
        put(&s, &pages, sizeof(pages));
        put(&s, &file, sizeof(file));
        save(&s, "ring", "history");
}

/* A piece of a file for the image target. */
static void bytes_at(struct seed *s, uint32_t offset, const void *bytes, uint16_t len)
{
        put(s, &offset, sizeof(offset));
        put(s, &len, sizeof(len));
        put(s, bytes, len);
}

static void number_at(struct seed *s, uint32_t offset, uint64_t value)
{
        bytes_at(s, offset, &value, sizeof(value));
}

static struct seed image(uint16_t sectors)
{
        struct seed s = { .len = 0 };

        put(&s, &sectors, sizeof(sectors));
        return s;
}

static void elf_seed(void)
{
        const Elf64_Ehdr head = {
                .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                        EV_CURRENT },
                .e_type = ET_CORE,
                .e_machine = EM_X86_64,
                .e_version = EV_CURRENT,
                .e_phoff = sizeof(head),
                .e_ehsize = sizeof(head),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 3,
        };
        const Elf64_Phdr segments[] = {
                { .p_type = PT_NOTE, .p_offset = 600, .p_filesz = 100 },
                { .p_type = PT_LOAD, .p_offset = 1000, .p_paddr = 0x100000000, .p_filesz = 0x4000 },
                { .p_type = PT_LOAD, .p_offset = 0x5000, .p_filesz = 0x8000 },
        };
        struct seed s = image(256);

        bytes_at(&s, 0, &head, sizeof(head));
        bytes_at(&s, sizeof(head), segments, sizeof(segments));
        save(&s, "image", "elf");
}

static struct seed crash(uint32_t type)
{
        struct seed s = image(64);

        bytes_at(&s, 0, "PAGEDU64", 8);
        number_at(&s, 0x10, 0x1ad002);
        number_at(&s, 0x30, 0x8664);
        number_at(&s, 0xf98, type);
        return s;
}

static void image_seeds(void)
{
        struct seed s = image(16);

        save(&s, "image", "raw");
        elf_seed();
        s = crash(1);
        number_at(&s, 0x88, 2);
        number_at(&s, 0x90, 6);
        number_at(&s, 0x98, 1);
        number_at(&s, 0xa0, 2);
        number_at(&s, 0xa8, 0x100000);
        number_at(&s, 0xb0, 4);
        save(&s, "image", "crash-runs");
        s = crash(5);
        bytes_at(&s, 0x2000, "FDMPDUMP", 8);
        number_at(&s, 0x2020, 0x3000);
        number_at(&s, 0x2028, 4);
        number_at(&s, 0x2030, 17);
        number_at(&s, 0x2038, 0x10007);
        save(&s, "image", "crash-bitmap");
}

#define FLAT_VIEW                                                                                  \
        "FlatView #0%1$s AS \"memory\", root: system%1$s Root memory region: system%1$s"           \
        "  0000000000000000-00000000000bffff (prio 0, ram): ram0%1$s"                              \
        "  00000000000c0000-00000000000c3fff (prio 0, rom): pc.rom%1$s"                            \
        "  0000000000100000-000000007fffffff (prio 0, ram): ram0 @0000000000100000 KVM%1$s"        \
        "  0000000100000000-00000001ffffffff (prio 0, ram): node1%1$s"

static void monitor_seeds(void)
{
        struct seed s = { .len = 0 };
        char text[2048];

        put(&s, text, snprintf(text, sizeof(text), FLAT_VIEW, "\n"));
        save(&s, "mtree", "two-backends");
        s.len = 0;
        put(&s, text,
                snprintf(text, sizeof(text),
                        "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n%1$c"
                        "{\"return\": {}}\r\n%1$c"
                        "{\"return\": {\"status\": \"running\", \"running\": true}}\r\n%1$c"
                        "{\"return\": {\"status\": \"completed\"}}\r\n%1$c"
                        "{\"return\": [{\"id\": \"ram0\", \"share\": true, \"size\": 1}]}\r\n%1$c"
                        "{\"return\": \"FlatView #0\\r\\n AS \\\"memory\\\", root: system\\r\\n"
                        "  0000000000000000-000000003fffffff (prio 0, ram): ram0\\r\\n\"}\r\n%1$c"
                        "{\"return\": \"/dev/shm/ram\"}\r\n%1$c"
                        "{\"return\": \"Host virtual address for 0x0 (ram0) is "
                        "0x7f00\\r\\n\"}\r\n%1$c"
                        "{\"event\": \"RESET\", \"data\": {\"guest\": true}}\r\n%1$c"
                        "{\"event\": \"STOP\"}\r\n%1$c{\"error\": {\"desc\": \"no\"}}\r\n",
                        0));
        save(&s, "qmp", "a-round");
}

static void config_seeds(void)
{
        static const char *const texts[] = {
                "[guest]\nram = /dev/shm/win11\nmachine = q35\nram_size = 4G\n",
                "[guest]\nram=/a\nmachine=pc\nkcr3=0x1ad000\nqmp=/run/"
                "q.sock\n[ring]\nslots=3\nsocket=/run/s\nmode=0660\n",
                "[pace]\nmax_fps = 999999\n  indented = 1\n[nowhere\n; comment\n= 1\n[log]\nlevel "
                "= shouting\n",
                "[guest]\nram=/"
                "a\n[ring]\nmax_bytes=64M\nlease_ms=0\nwake_batch=never\nmax_clients_user=2\n"
                "[access]\nusers = root, 7\ngroups=0\nadmin_users=root daemon\n[control]\n"
                "socket=/run/c\nmode=0660\ngroup=root\nuser=0\n",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct seed s = { .len = 0 };
                char name[] = "0.conf";

                name[0] += i;
                put(&s, texts[i], strlen(texts[i]));
                save(&s, "config", name);
        }
}

int main(int argc, char **argv)
{
        struct fuzz_guest *g = fuzz_guest();

        if (argc != 2) {
                fprintf(stderr, "usage: seeds FOLDER\n");
                return 2;
        }
        folder = argv[1];
        fuzz_require(mkdir(folder, 0777) == 0 || errno == EEXIST, folder);
        open_seeds();
        entry_seeds(g);
        walk_seeds(g);
        process_seeds(g);
        discover_seeds(g);
        sample_seeds(g);
        protocol_seeds();
        control_seeds();
        ring_seeds();
        config_seeds();
        image_seeds();
        monitor_seeds();
        return 0;
}
