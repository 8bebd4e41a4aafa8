/*
 * canned.c SOCKET STATUS CLIENTS METRICS - a daemon that answers with what is in three files, and has no ring
 *
 * For pictures of screens, which have to be the same each time. Ends when its standard input does.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server.h"
#include "vgpu_protocol.h"

#define ANSWER_MAX 32768

static char answers[3][ANSWER_MAX];

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool load(const char *path, char *answer)
{
        FILE *f = fopen(path, "r");
        size_t n;

        if (!f) {
                perror(path);
                return false;
        }
        n = fread(answer, 1, ANSWER_MAX - 1, f);
        answer[n] = '\0';
        fclose(f);
        return true;
}

static int answer(void *ctx, uint32_t what, char *buf, size_t cap)
{
        (void)ctx;
        if (what < VGPU_QUERY_STATUS || what > VGPU_QUERY_METRICS)
                return -EOPNOTSUPP;
        return snprintf(buf, cap, "%s", answers[what - VGPU_QUERY_STATUS]);
}

static void turn(struct server *server)
{
        struct peer *peer, *next;

        while (server_accept(server, now_ns(), &peer) == 1)
                ;
        for (peer = server_next_peer(server, NULL); peer; peer = next) {
                next = server_next_peer(server, peer);
                if (peer_dispatch(peer, now_ns()) < 0)
                        peer_free(peer);
        }
        while ((peer = server_expire(server, now_ns())))
                peer_free(peer);
}

int main(int argc, char **argv)
{
        struct server_config config = { .listen_fd = -1,
                .mode = 0600,
                .group = SERVER_GROUP_NONE,
                .max_clients = 8,
                .query = answer };
        struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
        struct server *server;

        if (argc != 5 || !load(argv[2], answers[0]) || !load(argv[3], answers[1]) ||
                !load(argv[4], answers[2]))
                return 2;
        config.path = argv[1];
        if (server_new(&config, &server, NULL) < 0)
                return 1;
        while (poll(&end, 1, 2) == 0)
                turn(server);
        for (struct peer *peer; (peer = server_next_peer(server, NULL));)
                peer_free(peer);
        server_free(server);
        return 0;
}
