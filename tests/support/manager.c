/* manager.c - see manager.h */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PATIENCE_S 120

static void must(bool ok, const char *what)
{
        if (!ok)
                fail_msg("%s: %s", what, strerror(errno));
}

static int listen_at(const char *path, int type)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, path);
        must(chmod(path, 0666) == 0, path);
        return fd;
}

/* ---- the store ----------------------------------------------------------------------------------------------------- */

static void take_away(struct manager *m, const char *name)
{
        size_t kept = 0;

        for (size_t i = 0; i < m->n_stored; i++) {
                if (strcmp(m->store[i].name, name) == 0)
                        close(m->store[i].fd);
                else
                        m->store[kept++] = m->store[i];
        }
        m->n_stored = kept;
}

static void add(struct manager *m, const char *name, int fd)
{
        if (m->n_stored == MANAGER_STORE_MAX) {
                close(fd);
                return;
        }
        snprintf(m->store[m->n_stored].name, sizeof(m->store[0].name), "%s", name);
        m->store[m->n_stored++].fd = fd;
        m->n_adds++;
}

static void take_notification(struct manager *m)
{
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control;
        char text[4096], name[96] = "stored", *at;
        struct iovec iov = { text, sizeof(text) - 1 };
        struct msghdr msg = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(m->notify, &msg, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
        int fd = -1;

        text[n < 0 ? 0 : n] = '\0';
        if (c && c->cmsg_type == SCM_RIGHTS)
                memcpy(&fd, CMSG_DATA(c), sizeof(fd));
        at = strstr(text, "FDNAME=");
        if (at)
                sscanf(at, "FDNAME=%95[^\n]", name);
        pthread_mutex_lock(&m->lock);
        if (fd >= 0 && strstr(text, "FDSTORE=1"))
                add(m, name, fd);
        else if (fd >= 0)
                close(fd);
        if (strstr(text, "FDSTOREREMOVE=1"))
                take_away(m, name);
        pthread_cond_broadcast(&m->changed);
        pthread_mutex_unlock(&m->lock);
}

static void *listen_to_daemons(void *arg)
{
        struct manager *m = arg;
        struct pollfd fds[2] = { { .fd = m->notify, .events = POLLIN },
                { .fd = m->stop[0], .events = POLLIN } };

        while (poll(fds, 2, -1) >= 0 && !fds[1].revents)
                if (fds[0].revents)
                        take_notification(m);
        return NULL;
}

void manager_until_stored(struct manager *m, size_t n)
{
        struct timespec until;
        size_t have;
        int r = 0;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_S;
        pthread_mutex_lock(&m->lock);
        while (m->n_stored != n && r == 0)
                r = pthread_cond_timedwait(&m->changed, &m->lock, &until);
        have = m->n_stored;
        pthread_mutex_unlock(&m->lock);
        if (have != n)
                fail_msg("%zu descriptors are stored, not %zu", have, n);
}

bool manager_keeps(struct manager *m, dev_t dev, ino_t ino)
{
        bool found = false;
        struct stat st;

        pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < m->n_stored && !found; i++)
                found = fstat(m->store[i].fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
        pthread_mutex_unlock(&m->lock);
        return found;
}

void manager_open_file(struct manager *m, const char *name, int fd)
{
        pthread_mutex_lock(&m->lock);
        add(m, name, fd);
        pthread_mutex_unlock(&m->lock);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

void manager_start(struct manager *m, uid_t uid)
{
        char path[96];

        *m = (struct manager){ .dir = "/tmp/vgpud-manager-XXXXXX", .uid = uid };
        must(mkdtemp(m->dir) != NULL && chmod(m->dir, 0755) == 0, m->dir);
        snprintf(m->config, sizeof(m->config), "%s/demo.conf", m->dir);
        snprintf(m->helper, sizeof(m->helper), "%s/helper.sock", m->dir);
        snprintf(path, sizeof(path), "%s/run", m->dir);
        must(mkdir(path, 0755) == 0 && chown(path, uid, uid) == 0, path);
        snprintf(path, sizeof(path), "%s/notify", m->dir);
        m->notify = listen_at(path, SOCK_DGRAM);
        must(pipe2(m->stop, O_CLOEXEC) == 0, "pipe");
        pthread_mutex_init(&m->lock, NULL);
        pthread_cond_init(&m->changed, NULL);
        must(pthread_create(&m->thread, NULL, listen_to_daemons, m) == 0, "thread");
}

void manager_stop(struct manager *m)
{
        char command[96];

        manager_withdraw_helper(m);
        close(m->stop[1]);
        pthread_join(m->thread, NULL);
        for (size_t i = 0; i < m->n_stored; i++)
                close(m->store[i].fd);
        close(m->stop[0]);
        close(m->notify);
        snprintf(command, sizeof(command), "rm -rf %s", m->dir);
        assert_int_equal(system(command), 0);
}

void manager_configure(struct manager *m, const char *guest)
{
        FILE *f = fopen(m->config, "we");

        must(f != NULL, m->config);
        fprintf(f, "[guest]\nram_helper = %s\n%s[ring]\nsocket = %s/run/sock\nmode = 0666\n",
                m->helper, guest, m->dir);
        fclose(f);
        must(chmod(m->config, 0644) == 0, m->config);
}

/* ---- daemons ------------------------------------------------------------------------------------------------------- */

static int open_program(const char *name)
{
        char path[256];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", VGPU_BIN_DIR, name);
        fd = open(path, O_PATH);
        must(fd >= 0, path);
        return fd;
}

/* In the child: the store becomes descriptors 3 and on, and everything else but @program and @log closes. */
static void pass_stored(const struct manager *m, int *program, int *log)
{
        char names[MANAGER_STORE_MAX * 97] = "", text[32];
        int first = 3 + (int)m->n_stored;

        *program = fcntl(*program, F_DUPFD_CLOEXEC, first + 64);
        *log = fcntl(*log, F_DUPFD_CLOEXEC, first + 64);
        for (size_t i = 0; i < m->n_stored; i++) {
                int fd = fcntl(m->store[i].fd, F_DUPFD_CLOEXEC, first + 64);

                if (dup2(fd, 3 + (int)i) < 0)
                        _exit(126);
                snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ":" : "",
                        m->store[i].name);
        }
        if (m->n_stored == 0)
                return;
        snprintf(text, sizeof(text), "%zu", m->n_stored);
        setenv("LISTEN_FDS", text, 1);
        snprintf(text, sizeof(text), "%d", (int)getpid());
        setenv("LISTEN_PID", text, 1);
        setenv("LISTEN_FDNAMES", names, 1);
}

static _Noreturn void become_daemon(const struct manager *m, int program, int log)
{
        char *const argv[] = { (char *)"vgpud", (char *)"--config", (char *)(uintptr_t)m->config,
                NULL };
        char notify[96];

        pass_stored(m, &program, &log);
        snprintf(notify, sizeof(notify), "%s/notify", m->dir);
        setenv("NOTIFY_SOCKET", notify, 1);
        /* Leaks are looked for by ptrace(), and who changed their user may not be traced. */
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
        if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 ||
                setresgid(m->uid, m->uid, m->uid) < 0 || setresuid(m->uid, m->uid, m->uid) < 0 ||
                prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(125);
        fexecve(program, argv, environ);
        _exit(127);
}

void manager_run(struct manager *m, struct daemon_proc *ret)
{
        int program = open_program("vgpud"), log;

        *ret = DAEMON_PROC_NONE;
        snprintf(ret->config, sizeof(ret->config), "%s", m->config);
        snprintf(ret->socket, sizeof(ret->socket), "%s/run/sock", m->dir);
        snprintf(ret->log, sizeof(ret->log), "%s/log", m->dir);
        log = open(ret->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        must(log >= 0, ret->log);
        pthread_mutex_lock(&m->lock);
        ret->pid = fork();
        if (ret->pid == 0)
                become_daemon(m, program, log);
        pthread_mutex_unlock(&m->lock);
        close(program);
        close(log);
        must(ret->pid > 0, "fork");
}

int manager_end(struct manager *m, struct daemon_proc *d)
{
        (void)m;
        kill(d->pid, SIGTERM);
        return daemon_proc_wait(d);
}

/* ---- the helper ---------------------------------------------------------------------------------------------------- */

static _Noreturn void become_helper(
        const struct manager *m, int program, int listener, const char *user)
{
        char *const argv[] = { (char *)"vgpud-ram", (char *)"--config",
                (char *)(uintptr_t)m->config, (char *)"--user", (char *)(uintptr_t)user, NULL };
        char text[32];

        program = fcntl(program, F_DUPFD_CLOEXEC, 10);
        if (listener != 3 && dup2(listener, 3) < 0)
                _exit(126);
        fcntl(3, F_SETFD, 0);
        snprintf(text, sizeof(text), "%d", (int)getpid());
        setenv("LISTEN_PID", text, 1);
        setenv("LISTEN_FDS", "1", 1);
        unsetenv("LISTEN_FDNAMES");
        fexecve(program, argv, environ);
        _exit(127);
}

static _Noreturn void activate(const struct manager *m, int program, int listener, const char *user)
{
        struct pollfd waiting = { .fd = listener, .events = POLLIN };

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* A guest ends when nobody has its input open any more. */
        for (int fd = 3; fd < 256; fd++)
                if (fd != program && fd != listener)
                        close(fd);
        while (poll(&waiting, 1, -1) > 0) {
                pid_t pid = fork();

                if (pid == 0)
                        become_helper(m, program, listener, user);
                waitpid(pid, NULL, 0);
        }
        _exit(0);
}

void manager_offer_helper(struct manager *m, const char *user)
{
        int listener = listen_at(m->helper, SOCK_SEQPACKET), program = open_program("vgpud-ram");

        must(listen(listener, 8) == 0, "listen");
        m->activator = fork();
        if (m->activator == 0)
                activate(m, program, listener, user);
        must(m->activator > 0, "fork");
        close(listener);
        close(program);
}

void manager_withdraw_helper(struct manager *m)
{
        if (m->activator == 0)
                return;
        kill(m->activator, SIGKILL);
        waitpid(m->activator, NULL, 0);
        m->activator = 0;
        unlink(m->helper);
}
