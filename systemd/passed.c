/*
 * passed.c - see passed.h
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "systemd/outbox.h"
#include "systemd/passed.h"

_Static_assert(
        sizeof("FDSTOREREMOVE=1\nFDNAME=") + PASSED_NAME_MAX <= OUTBOX_TEXT_MAX, "a name fits");

static bool is_ram(const char *name)
{
        return strcmp(name, "ram") == 0 || strncmp(name, "ram-", 4) == 0;
}

/* Return: 0, or -EINVAL for a socket that cannot be the one. */
static int take_one(struct passed *p, int fd, const char *name)
{
        if (sd_is_socket(fd, AF_UNSPEC, 0, -1) > 0) {
                if (p->socket >= 0 || sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) <= 0) {
                        close(fd);
                        return -EINVAL;
                }
                p->socket = fd;
        } else if (is_ram(name) && strlen(name) < PASSED_NAME_MAX && p->n_ram < PASSED_RAM_MAX) {
                struct passed_ram *ram = &p->ram[p->n_ram++];

                ram->fd = fd;
                memcpy(ram->name, name, strlen(name) + 1);
        } else {
                p->n_strange++;
                close(fd);
        }
        return 0;
}

int passed_take(struct passed *ret)
{
        struct passed p = PASSED_NONE;
        char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names);
        int r = n < 0 ? n : 0;

        for (int i = 0; i < n; i++) {
                if (take_one(&p, SD_LISTEN_FDS_START + i, names[i]) < 0)
                        r = -EINVAL;
                free(names[i]);
        }
        free(names);
        if (r < 0)
                passed_close(&p);
        *ret = p;
        return r;
}

void passed_close(struct passed *p)
{
        if (p->socket >= 0)
                close(p->socket);
        for (size_t i = 0; i < p->n_ram; i++)
                close(p->ram[i].fd);
        *p = PASSED_NONE;
}

/* A pidfd whose process ends would be dropped when polled, and the next daemon could not tell that it ended. */
static void store_text(char text[OUTBOX_TEXT_MAX], const char *name)
{
        snprintf(text, OUTBOX_TEXT_MAX, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
}

void passed_store(const char *name, int fd)
{
        char text[OUTBOX_TEXT_MAX];

        store_text(text, name);
        outbox_owe(text, fd);
}

/* Not stored yet, it must not be kept open either: it may be the memory of a machine that is off. */
void passed_unstore(const char *name)
{
        char text[OUTBOX_TEXT_MAX];

        store_text(text, name);
        outbox_withdraw(text);
        snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        outbox_owe(text, -1);
}
