/* The least that a server can do, as a measure for the machine: one epoll loop
 * that reads, looks for ends of heads, and writes a constant for each, in one
 * write(2) a read. What luaserve takes above it is parsing, Lua and care.
 * Requests are not parsed, and one that arrives in pieces is answered once for
 * each end of a head that lies within a piece, which is enough for wrk. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD                                                                   \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"                          \
    "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Length: 13\r\n"
#define CLOSE "Connection: close\r\n"
#define BODY "\r\nHello, World!"

enum { EVENTS = 256, BATCH = 64, INPUT = 65536, LENGTH = sizeof HEAD BODY - 1 };

static char answers[BATCH * LENGTH];
static int poller;

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        watch(fd);
}

static size_t count_heads(const char *at, size_t n)
{
    const char *end = at + n, *found;
    size_t count = 0;

    while ((found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        at = found + 4;
        count++;
    }
    return count < BATCH ? count : BATCH;
}

static void answer(int fd)
{
    static const char last[] = HEAD CLOSE BODY;
    static char input[INPUT];
    ssize_t n = read(fd, input, sizeof input);
    size_t heads = n > 0 ? count_heads(input, (size_t)n) : 0;

    if (n > 0 && memmem(input, (size_t)n, CLOSE, sizeof CLOSE - 1) != NULL)
        n = write(fd, last, sizeof last - 1) - (ssize_t)sizeof last;
    else if (heads > 0)
        n = write(fd, answers, heads * LENGTH);
    if (n <= 0)
        close(fd);
}

/* Listens on a free port of 127.0.0.1 and announces it. */
static int open_listener(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    socklen_t size = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&sin, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&sin, &size) < 0) {
        perror("ceiling");
        return -1;
    }
    printf("port %d\n", ntohs(sin.sin_port));
    fflush(stdout);
    return fd;
}

int main(void)
{
    struct epoll_event events[EVENTS];
    int listener = open_listener(), i, n;

    if (listener < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    for (i = 0; i < BATCH; i++)
        memcpy(answers + i * LENGTH, HEAD BODY, LENGTH);
    poller = epoll_create1(0);
    watch(listener);
    for (;;) {
        n = epoll_wait(poller, events, EVENTS, -1);
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                answer(events[i].data.fd);
        }
    }
}
