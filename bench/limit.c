/* The C limit: the least that an HTTP server on one thread can cost on this machine.
 *
 * An epoll loop with keep-alive that answers every request head with the same bytes. It looks for
 * nothing but the blank line that ends a head (RFC 9112 section 2.1), also across reads, and writes
 * one answer for each: pipelined requests are answered by one write for each read. A request with
 * a body is not understood, since only GET is sent to it.
 *
 *     limit PORT
 *
 * Listens on 127.0.0.1 until it is killed. What a real server spends above it is its own doing;
 * what it spends itself is the kernel's: two system calls and a part of an epoll_wait per request.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\n"
    "content-type: text/plain; charset=utf-8\r\n"
    "cache-control: max-age=0, private, must-revalidate\r\n"
    "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    "content-length: 11\r\n"
    "\r\n"
    "Hello Plug!";

enum {
    ANSWER_LENGTH = sizeof ANSWER - 1,
    COPIES = 64, /* answers that one write can hold */
    EVENTS = 256,
    READ_SIZE = 65536,
};

struct connection {
    int blank;           /* how much of "\r\n\r\n" the last bytes read matched, 0 to 3 */
    unsigned long owed;  /* answers not yet written whole */
    size_t written;      /* bytes of the first of them that were written */
    int waits_writable;  /* EPOLLOUT is asked for */
};

static char answers[ANSWER_LENGTH * COPIES];
static char input[READ_SIZE];
static struct connection *connections;
static int poller;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int operation, int descriptor, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(poller, operation, descriptor, &event) < 0) die("epoll_ctl");
}

/* The number of heads that end in `data`. */
static unsigned long count_heads(struct connection *connection, const char *data, size_t size) {
    static const char BLANK[] = "\r\n\r\n";
    int matched = connection->blank;
    unsigned long heads = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == BLANK[matched]) {
            if (++matched == 4) {
                heads++;
                matched = 0;
            }
        } else {
            matched = data[i] == '\r';
        }
    }
    connection->blank = matched;
    return heads;
}

/* Write what is owed. Returns -1 when the connection is dead. */
static int answer(int descriptor, struct connection *connection) {
    while (connection->owed > 0) {
        unsigned long batch = connection->owed < COPIES ? connection->owed : COPIES;
        size_t size = batch * ANSWER_LENGTH - connection->written;
        ssize_t sent = send(descriptor, answers + connection->written, size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return -1;
            if (!connection->waits_writable) {
                watch(EPOLL_CTL_MOD, descriptor, EPOLLOUT); /* backpressure: read no more */
                connection->waits_writable = 1;
            }
            return 0;
        }
        size_t total = connection->written + (size_t)sent;
        connection->owed -= total / ANSWER_LENGTH;
        connection->written = total % ANSWER_LENGTH;
    }
    if (connection->waits_writable) {
        watch(EPOLL_CTL_MOD, descriptor, EPOLLIN);
        connection->waits_writable = 0;
    }
    return 0;
}

static void serve(int descriptor, unsigned events) {
    struct connection *connection = &connections[descriptor];
    int alive = 1;
    if (events & EPOLLIN) {
        ssize_t size = read(descriptor, input, sizeof input);
        if (size > 0) {
            connection->owed += count_heads(connection, input, (size_t)size);
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            alive = 0;
        }
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        alive = 0;
    }
    if (!alive || answer(descriptor, connection) < 0) close(descriptor);
}

static void accept_all(int listener, int limit) {
    for (;;) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) return;
        if (descriptor >= limit) {
            close(descriptor);
            continue;
        }
        int one = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        memset(&connections[descriptor], 0, sizeof *connections);
        watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
    }
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: limit PORT\n");
        return 2;
    }
    for (int i = 0; i < COPIES; i++) memcpy(answers + i * ANSWER_LENGTH, ANSWER, ANSWER_LENGTH);

    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) die("getrlimit");
    int limit = files.rlim_cur > 1000000 ? 1000000 : (int)files.rlim_cur;
    connections = calloc((size_t)limit, sizeof *connections);
    if (connections == NULL) die("calloc");

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) die("socket");
    int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((unsigned short)atoi(arguments[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, 1024) < 0) die("listen");

    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) die("epoll_create1");
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener) {
                accept_all(listener, limit);
            } else {
                serve(events[i].data.fd, events[i].events);
            }
        }
    }
}
