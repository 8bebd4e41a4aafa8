/*
 * machine_process.c - process objects and their lives
 *
 * An EPROCESS sits somewhere in a pool page of its own, behind its pool header, with the fields a reader uses at the
 * build's offsets and around them what other tools look for: a handle table, a VAD node, the image's path. The order of a
 * death is Windows': exit status, exit time, off the list, and only then the address space and the object.
 */
#include "machine_private.h"

/* Places within the process's page of the paged pool. */
#define POOL_HANDLES 0x010
#define POOL_VAD     0x210
#define POOL_AUDIT   0x410
#define POOL_ENTRIES 0x800

struct boot_process {
        const char *name;
        const char *parent; /* NULL: a process that has ended */
        bool user;
        uint32_t since; /* build */
};

/* In the order Windows starts them; System and smss.exe are neighbours on the list. */
static const struct boot_process boot_order[] = {
        { "smss.exe", "System", true, 0 },
        { "Registry", "System", false, 17134 },
        { "csrss.exe", NULL, true, 0 },
        { "wininit.exe", NULL, true, 0 },
        { "csrss.exe", NULL, true, 0 },
        { "services.exe", "wininit.exe", true, 0 },
        { "lsass.exe", "wininit.exe", true, 0 },
        { "winlogon.exe", NULL, true, 0 },
        { "svchost.exe", "services.exe", true, 0 },
        { "fontdrvhost.exe", "wininit.exe", true, 10240 },
        { "svchost.exe", "services.exe", true, 0 },
        { "dwm.exe", "winlogon.exe", true, 0 },
        { "svchost.exe", "services.exe", true, 0 },
        { "spoolsv.exe", "services.exe", true, 0 },
        { "MsMpEng.exe", "services.exe", true, 0 },
        { "MemCompression", "System", false, 10586 },
        { "SearchIndexer.exe", "services.exe", true, 0 },
        { "sihost.exe", "svchost.exe", true, 10240 },
        { "taskhostw.exe", "svchost.exe", true, 10240 },
        { "explorer.exe", NULL, true, 0 },
        { "RuntimeBroker.exe", "svchost.exe", true, 10240 },
        { "ctfmon.exe", "svchost.exe", true, 0 },
        { "notepad.exe", "explorer.exe", true, 0 },
        { "cmd.exe", "explorer.exe", true, 0 },
        { "conhost.exe", "cmd.exe", true, 0 },
};

static bool same_name(const char *a, const char *b)
{
        while (*a && *a == *b)
                a++, b++;
        return *a == *b;
}

static uint32_t pid_of(const struct machine *m, const char *name)
{
        for (uint32_t i = 0; i < m->n_processes; i++)
                if (m->processes[i].alive && same_name(m->processes[i].name, name))
                        return m->processes[i].pid;
        return 0;
}

static struct machine_process *new_entry(struct machine *m)
{
        for (uint32_t i = 1; i < m->n_processes; i++)
                if (!m->processes[i].alive && !m->processes[i].lingers)
                        return &m->processes[i];
        if (m->n_processes == MACHINE_MAX_PROCESSES) {
                machine_fail(m, "process table entry");
                return NULL;
        }
        return &m->processes[m->n_processes++];
}

/* ImageFileName has 15 bytes, the last of them NUL. */
static void copy_short_name(char to[16], const char *name)
{
        uint32_t n = 0;

        __builtin_memset(to, 0, 16);
        while (n < 14 && name[n]) {
                to[n] = name[n];
                n++;
        }
}

static uint32_t put_wide(uint8_t *to, const char *text)
{
        uint32_t n = 0;

        for (; text[n]; n++)
                put16(to + 2 * n, (uint16_t)text[n]);
        put16(to + 2 * n, 0);
        return 2 * n;
}

static void put_pool_header(uint8_t *block, const char *tag)
{
        put32(block, 0x02200000);
        __builtin_memcpy(block + 4, tag, 4);
}

/* The objects an EPROCESS points to, in one page. */
static bool build_pool_objects(
        struct machine *m, struct machine_process *p, const char *name, bool user)
{
        uint8_t *page, *name_info;
        uint64_t table;
        uint32_t at = m->cfg.build < 9200 ? 0 : 8, len = 0;

        p->pool = pool_alloc(m, MACHINE_PAGED);
        if (p->pool == 0)
                return false;
        page = kernel_at(m, p->pool);

        put_pool_header(page, "Obtb");
        table = p->pool + POOL_ENTRIES;
        put64(page + POOL_HANDLES + at, table);
        put64(page + POOL_HANDLES + at + 8, p->eprocess);
        put32(page + POOL_HANDLES + (at ? 0x28 : 0x10), p->pid);
        put64(page + POOL_ENTRIES + 0x10, p->eprocess | 1);

        put_pool_header(page + POOL_VAD - 0x10, "Vad ");
        put32(page + POOL_VAD + 0x18, (uint32_t)(p->image_base >> 12));
        put32(page + POOL_VAD + 0x1C, (uint32_t)(p->image_base >> 12));

        put_pool_header(page + POOL_AUDIT - 0x10, "SeAd");
        name_info = page + POOL_AUDIT;
        if (user) {
                len = put_wide(name_info + 16, "\\Device\\HarddiskVolume3\\Windows\\System32\\");
                len += put_wide(name_info + 16 + len, name);
        }
        put16(name_info, (uint16_t)len);
        put16(name_info + 2, (uint16_t)(len + 2));
        put64(name_info + 8, len ? p->pool + POOL_AUDIT + 16 : 0);
        return true;
}

static void put_list(uint8_t *at, uint64_t va)
{
        put64(at, va);
        put64(at + 8, va);
}

static void fill_object(struct machine *m, struct machine_process *p)
{
        const struct machine_layout *l = m->layout;
        uint8_t *e = page_at(m, p->eprocess_gpa);

        put_pool_header(e - 0x70, "Proc");
        put32(e, 0x00B60003); /* dispatcher header: a process */
        put_list(e + 0x08, p->eprocess + 0x08);
        put_list(e + 0x18, p->eprocess + 0x18);
        put64(e + 0x28,
                p->cr3 | (m->cfg.build >= 17134 ? 2 : 0)); /* PCID bits: no part of the address */
        put_list(e + 0x30, p->eprocess + 0x30);

        if (m->cfg.kpti)
                put64(e + l->user_dtb, p->user_cr3 ? p->user_cr3 | 1 : 0);
        put64(e + l->pid, p->pid);
        put64(e + l->ppid, p->ppid);
        __builtin_memcpy(e + l->image_name, p->name, 15);
        put64(e + l->peb, p->peb);
        put64(e + l->create_time, p->create_time);
        put64(e + l->exit_time, 0);
        put32(e + l->exit_status, STATUS_PENDING);
        put64(e + l->vad_root, p->peb ? p->pool + POOL_VAD : 0);
        put64(e + l->section_base, p->image_base);
        put64(e + l->object_table, p->pool + POOL_HANDLES);
        put64(e + l->audit_name, p->pool + POOL_AUDIT);
        put_list(e + l->thread_list, p->eprocess + l->thread_list);
}

/* At the tail: the object is complete, then its own links, then the neighbours'. */
static void link_object(struct machine *m, struct machine_process *p)
{
        uint8_t *links = (uint8_t *)page_at(m, p->eprocess_gpa) + m->layout->links;
        uint8_t *head = kernel_at(m, m->list_head);
        uint64_t va = p->eprocess + m->layout->links, last = get64(head + 8);

        put64(links, m->list_head);
        put64(links + 8, last);
        publish_barrier();
        put64(kernel_at(m, last), va);
        put64(head + 8, va);
        publish_barrier();
}

static void unlink_object(struct machine *m, const struct machine_process *p)
{
        const uint8_t *links = (uint8_t *)page_at(m, p->eprocess_gpa) + m->layout->links;
        uint64_t next = get64(links), prev = get64(links + 8);

        put64(kernel_at(m, prev), next);
        put64((uint8_t *)kernel_at(m, next) + 8, prev);
        publish_barrier();
}

static bool build_process(struct machine *m, struct machine_process *p, const char *name, bool user)
{
        uint64_t page = pool_alloc(m, MACHINE_NONPAGED);
        uint64_t within = 0x80 + random_below(m, 8) * 0x80;

        if (page == 0)
                return false;
        p->eprocess = page + within;
        p->eprocess_gpa = machine_translate(m, m->kcr3, p->eprocess, NULL);
        p->create_time =
                m->boot_time + m->now + (m->now ? random_below(m, 10000) : p->pid * 2000ull);
        copy_short_name(p->name, name);
        if (p->cr3 == 0)
                p->cr3 = paging_new_space(m, m->cfg.place);
        if (p->cr3 == 0)
                return machine_fail(m, "address space");
        if (user && !user_half_build(m, p))
                return false;
        if (user && m->cfg.kpti) {
                p->user_cr3 = paging_new_user_root(m, m->cfg.place);
                if (p->user_cr3 == 0)
                        return machine_fail(m, "user root");
                paging_mirror(m, p);
        }
        if (!build_pool_objects(m, p, name, user))
                return false;
        fill_object(m, p);
        link_object(m, p);
        p->alive = true;
        return true;
}

static uint32_t take_pid(struct machine *m)
{
        uint32_t given = m->given_pid;

        m->given_pid = 0;
        if (given)
                return given;
        m->next_pid += 4 * (1 + (uint32_t)random_below(m, 12));
        return m->next_pid;
}

struct machine_process *machine_start_process(
        struct machine *m, const char *name, uint32_t ppid, bool user)
{
        struct machine_process *p = new_entry(m);

        if (!p)
                return NULL;
        *p = (struct machine_process){ .pid = take_pid(m), .ppid = ppid };
        return build_process(m, p, name, user) ? p : NULL;
}

static void mark_exited(struct machine *m, struct machine_process *p)
{
        uint8_t *e = page_at(m, p->eprocess_gpa);

        put32(e + m->layout->exit_status, 0);
        publish_barrier();
        put64(e + m->layout->exit_time, m->boot_time + m->now + 1);
        publish_barrier();
}

static void release_space(struct machine *m, struct machine_process *p)
{
        if (p == m->producer) {
                region_release(m, false);
                m->producer = NULL;
        }
        if (p->user_cr3)
                pages_free(&m->pages, p->user_cr3);
        paging_free_space(m, p->cr3);
}

void machine_exit_process(struct machine *m, struct machine_process *p)
{
        if (!p->lingers)
                mark_exited(m, p);
        unlink_object(m, p);
        if (!p->lingers)
                release_space(m, p);
        pool_free(m, MACHINE_PAGED, p->pool);
        pool_free(m, MACHINE_NONPAGED, p->eprocess & ~(PAGE_BYTES - 1));
        p->alive = p->lingers = false;
}

void machine_linger_process(struct machine *m, struct machine_process *p)
{
        mark_exited(m, p);
        release_space(m, p);
        p->alive = false;
        p->lingers = true;
}

bool process_build_initial(struct machine *m)
{
        struct machine_process *system = &m->processes[0];
        size_t n_order = sizeof(boot_order) / sizeof(boot_order[0]);

        m->n_processes = 1;
        m->next_pid = 4;
        *system = (struct machine_process){ .pid = 4, .cr3 = m->kcr3 };
        if (!build_process(m, system, "System", false))
                return false;
        kernel_set_initial_process(m, system->eprocess);

        for (size_t i = 0; m->n_processes < m->cfg.n_processes; i++) {
                static const struct boot_process more = { "svchost.exe", "services.exe", true, 0 };
                const struct boot_process *b = i < n_order ? &boot_order[i] : &more;
                uint32_t parent;

                if (b->since > m->cfg.build)
                        continue;
                parent = b->parent ? pid_of(m, b->parent) : m->next_pid + 2;
                if (!machine_start_process(m, b->name, parent, b->user))
                        return false;
        }
        return true;
}
