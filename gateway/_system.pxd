"""The calls of Linux that the engine makes: sockets, epoll, the coarse clock. C only where C's own types are awkward."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>

    #ifndef GATEWAY_SYSTEM
    #define GATEWAY_SYSTEM
    typedef struct {
        uint8_t octets[16];
        uint32_t scope;
        uint16_t port;
    } gateway_address;

    static const uint8_t gateway_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    static inline void gateway_take_address(gateway_address *to, const struct sockaddr_storage *from)
    {
        memset(to, 0, sizeof *to);
        if (from->ss_family == AF_INET) {
            const struct sockaddr_in *four = (const struct sockaddr_in *)from;
            memcpy(to->octets, gateway_mapped, 12);
            memcpy(to->octets + 12, &four->sin_addr, 4);
            to->port = ntohs(four->sin_port);
        } else if (from->ss_family == AF_INET6) {
            const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
            memcpy(to->octets, &six->sin6_addr, 16);
            to->scope = six->sin6_scope_id;
            to->port = ntohs(six->sin6_port);
        }
    }

    static inline int gateway_accept(int listener, gateway_address *peer)
    {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        memset(&from, 0, sizeof from);
        int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) gateway_take_address(peer, &from);
        return fd;
    }

    static inline int gateway_own_address(int fd, gateway_address *own)
    {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        memset(&from, 0, sizeof from);
        int result = getsockname(fd, (struct sockaddr *)&from, &size);
        gateway_take_address(own, &from);
        return result;
    }

    /* Without it a login waits 40 ms for a delayed ACK. */
    static inline int gateway_no_delay(int fd)
    {
        int on = 1;
        return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }

    /* A peer that vanished is noticed within four minutes, whether octets are under way to it or not. */
    static inline void gateway_notice_loss(int fd)
    {
        int on = 1, idle_s = 120, interval_s = 30, probes = 4, unacknowledged_ms = 240000;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
    }

    /* A connection under way, or -1 and errno. */
    static inline int gateway_connect(const gateway_address *to)
    {
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(to->port)};
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(to->port), .sin6_scope_id = to->scope};
        int is_four = !memcmp(to->octets, gateway_mapped, 12), result, saved;
        int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return -1;
        gateway_no_delay(fd);
        memcpy(&four.sin_addr, to->octets + 12, 4);
        memcpy(&six.sin6_addr, to->octets, 16);
        result = is_four ? connect(fd, (struct sockaddr *)&four, sizeof four)
                         : connect(fd, (struct sockaddr *)&six, sizeof six);
        if (result == 0 || errno == EINPROGRESS) return fd;
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }

    static inline int gateway_socket_error(int fd)
    {
        int error = 0;
        socklen_t size = sizeof error;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
    }

    static inline int gateway_watch(int epoll, int fd, uint64_t mark, uint32_t events)
    {
        struct epoll_event event = {.events = events, .data = {.u64 = mark}};
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }

    static inline int gateway_unwatch(int epoll, int fd)
    {
        struct epoll_event unused = {0};
        return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &unused);
    }

    static inline uint64_t gateway_milliseconds(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    }
    #endif
    """
    ctypedef struct Address "gateway_address":
        uint8_t octets[16]  # IPv4 is mapped
        uint32_t scope
        uint16_t port

    int accept_connection "gateway_accept"(int listener, Address *peer) nogil
    int own_address "gateway_own_address"(int fd, Address *own) nogil
    int no_delay "gateway_no_delay"(int fd) nogil
    void notice_loss "gateway_notice_loss"(int fd) nogil
    int start_connection "gateway_connect"(const Address *to) nogil
    int socket_error "gateway_socket_error"(int fd) nogil
    int watch "gateway_watch"(int epoll, int fd, uint64_t mark, uint32_t events) nogil
    int unwatch "gateway_unwatch"(int epoll, int fd) nogil
    uint64_t milliseconds "gateway_milliseconds"() nogil  # CLOCK_MONOTONIC, coarse

    ctypedef union EpollData "epoll_data_t":
        uint64_t u64

    ctypedef struct EpollEvent "struct epoll_event":
        uint32_t events
        EpollData data

    int epoll_create1(int flags) nogil
    int epoll_wait(int epoll, EpollEvent *events, int room, int timeout_ms) nogil
    ssize_t recv(int fd, void *to, size_t room, int flags) nogil
    ssize_t send(int fd, const void *octets, size_t count, int flags) nogil
    int shutdown(int fd, int how) nogil
    int close_descriptor "close"(int fd) nogil
    ssize_t read_descriptor "read"(int fd, void *to, size_t room) nogil

    enum:
        EPOLL_CLOEXEC
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLLRDHUP
        MSG_NOSIGNAL
        SHUT_WR
    uint32_t EPOLLET
    uint32_t EPOLLEXCLUSIVE
