/* daemon_proc.c - see daemon_proc.h */
#include "daemon_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_config(const struct daemon_proc *d, const char *ram, const char *machine,
        uint64_t ram_size, const char *more)
{
        FILE *f = fopen(d->config, "we");

        if (!f)
                return -errno;
        fprintf(f, "[guest]\nram = %s\nmachine = %s\n", ram, machine);
        if (ram_size)
                fprintf(f, "ram_size = %llu\n", (unsigned long long)ram_size);
        fprintf(f, "[ring]\nsocket = %s\n%s%s", d->socket, more ? more : "",
                more && strstr(more, "[log]") ? "" : "[log]\nlevel = debug\n");
        return fclose(f) == 0 ? 0 : -errno;
}

static const char *program(void)
{
        const char *from_environment = getenv("VGPU_DAEMON");

        return from_environment ? from_environment : VGPU_BIN_DIR "/vgpud";
}

int daemon_proc_restart(struct daemon_proc *d)
{
        pid_t parent = getpid();
        int log;

        d->pid = fork();
        if (d->pid < 0)
                return -errno;
        if (d->pid > 0)
                return 0;
        /* Who outlives a test that crashed keeps its output open, and whoever reads that waiting. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(127);
        log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
                _exit(127);
        execl(program(), "vgpud", "--config", d->config, (char *)NULL);
        _exit(127);
}

int daemon_proc_start(struct daemon_proc *ret, const char *ram, const char *machine,
        uint64_t ram_size, const char *more)
{
        struct daemon_proc d = { .dir = "/tmp/vgpud-test-XXXXXX" };
        int r;

        if (!mkdtemp(d.dir))
                return -errno;
        snprintf(d.config, sizeof(d.config), "%s/daemon.conf", d.dir);
        snprintf(d.socket, sizeof(d.socket), "%s/sock", d.dir);
        snprintf(d.log, sizeof(d.log), "%s/log", d.dir);
        r = write_config(&d, ram, machine, ram_size, more);
        if (r == 0)
                r = daemon_proc_restart(&d);
        *ret = d;
        return r;
}

static int reap(struct daemon_proc *d)
{
        int status = 0;

        if (d->pid == 0)
                return 0;
        while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
                ;
        d->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void daemon_proc_kill(struct daemon_proc *d)
{
        if (d->pid)
                kill(d->pid, SIGKILL);
        reap(d);
}

int daemon_proc_wait(struct daemon_proc *d)
{
        return reap(d);
}

static void remove_folder(const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *entry;

        if (!dir)
                return;
        while ((entry = readdir(dir)) != NULL)
                if (entry->d_name[0] != '.')
                        unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
        rmdir(path);
}

int daemon_proc_stop(struct daemon_proc *d)
{
        int status;

        if (d->pid)
                kill(d->pid, SIGTERM);
        status = reap(d);
        if (status) {
                char *said = daemon_proc_said(d);

                fprintf(stderr, "vgpud ended with %d and said:\n%s", status, said);
                free(said);
        }
        if (d->dir[0])
                remove_folder(d->dir);
        *d = DAEMON_PROC_NONE;
        return status;
}

char *daemon_proc_said(const struct daemon_proc *d)
{
        FILE *f = d->log[0] ? fopen(d->log, "re") : NULL;
        char *text = NULL;
        size_t cap = 0;

        if (f) {
                if (getdelim(&text, &cap, '\0', f) < 0) {
                        free(text);
                        text = NULL;
                }
                fclose(f);
        }
        return text ? text : strdup("");
}

static unsigned count_fds(pid_t pid)
{
        char path[32];
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)) != NULL)
                n += entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        return n;
}

/* The heap and sanitizers map anonymous memory as they like; what is kept of files is counted. */
static unsigned count_file_maps(pid_t pid)
{
        char path[32], *line = NULL;
        unsigned n = 0;
        size_t cap = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        f = fopen(path, "re");
        while (f && getline(&line, &cap, f) > 0)
                n += strchr(line, '/') != NULL;
        free(line);
        if (f)
                fclose(f);
        return n;
}

struct daemon_proc_holds daemon_proc_holds(const struct daemon_proc *d)
{
        return (struct daemon_proc_holds){ .n_fds = count_fds(d->pid),
                .n_maps = count_file_maps(d->pid) };
}
