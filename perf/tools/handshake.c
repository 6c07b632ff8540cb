/* handshake: what TLS 1.3 costs a server with this OpenSSL when both ends are in one process and there is no socket:
 * a full handshake, a resumed one, and a GiB sealed and opened.  One line of JSON; CPU time of the server's calls only.
 *   handshake CERTIFICATE-AND-KEY.pem [SECS]
 */
#define _GNU_SOURCE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHUNK = 64 << 10, MIB = 1 << 20 };
static SSL_CTX *server_ctx, *client_ctx;
static SSL_SESSION *ticket; /* the client's newest */

static double cpu(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void check(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "handshake: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    if (ticket) SSL_SESSION_free(ticket);
    ticket = session;
    return 1;
}

struct pair { SSL *server, *client; };

static struct pair connect_pair(bool resume, double *used)
{
    double start = cpu();
    struct pair p = {SSL_new(server_ctx), NULL};
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    SSL_set_bio(p.server, to_server, to_client);
    SSL_set_accept_state(p.server);
    *used += cpu() - start;
    p.client = SSL_new(client_ctx);
    BIO_up_ref(to_server), BIO_up_ref(to_client);
    SSL_set_bio(p.client, to_client, to_server);
    SSL_set_connect_state(p.client);
    if (resume) SSL_set_session(p.client, ticket);
    for (int i = 0; i < 4 && !(SSL_is_init_finished(p.client) && SSL_is_init_finished(p.server)); i++) {
        SSL_do_handshake(p.client);
        start = cpu();
        SSL_do_handshake(p.server);
        *used += cpu() - start;
    }
    check(SSL_is_init_finished(p.client) && SSL_is_init_finished(p.server), "no handshake");
    check(SSL_session_reused(p.server) == resume, "resumed, or not, against what was asked for");
    char c;
    check(SSL_read(p.client, &c, 1) < 0, "data out of nowhere"); /* takes the tickets */
    return p;
}

static void close_pair(struct pair p, double *used)
{
    SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its ticket goes bad */
    SSL_free(p.client);
    double start = cpu();
    SSL_free(p.server);
    *used += cpu() - start;
}

static double microseconds_of_a_handshake(bool resume, double seconds)
{
    double used = 0, end = cpu() + seconds;
    long count = 0;
    for (; count < 20 || cpu() < end; count++) close_pair(connect_pair(resume, &used), &used);
    return used / count * 1e6;
}

/* Seconds a GiB, of the end that writes and of the end that reads. */
static void bulk(double seconds, double *seal, double *open)
{
    double ignored = 0, end = cpu() + seconds, start;
    struct pair p = connect_pair(false, &ignored);
    char *data = malloc(CHUNK), *back = malloc(CHUNK);
    memset(data, 'x', CHUNK);
    long chunks = 0;
    for (*seal = *open = 0; chunks < 16 || cpu() < end; chunks++) {
        start = cpu();
        check(SSL_write(p.server, data, CHUNK) == CHUNK, "write");
        *seal += cpu() - start, start = cpu();
        for (int n, at = 0; at < CHUNK; at += n) check((n = SSL_read(p.client, back, CHUNK)) > 0, "read");
        *open += cpu() - start;
    }
    *seal *= 1024.0 * MIB / CHUNK / chunks, *open *= 1024.0 * MIB / CHUNK / chunks;
    close_pair(p, &ignored);
}

int main(int argc, char **argv)
{
    if (argc < 2) return fprintf(stderr, "usage: handshake CERTIFICATE-AND-KEY.pem [SECS]\n"), 2;
    double seconds = argc > 2 ? atof(argv[2]) : 1, seal, open;
    server_ctx = SSL_CTX_new(TLS_server_method()), client_ctx = SSL_CTX_new(TLS_client_method());
    check(SSL_CTX_use_certificate_chain_file(server_ctx, argv[1]) == 1, "certificate");
    check(SSL_CTX_use_PrivateKey_file(server_ctx, argv[1], SSL_FILETYPE_PEM) == 1, "key");
    SSL_CTX_set_min_proto_version(client_ctx, TLS1_3_VERSION);
    check(SSL_CTX_set_ciphersuites(client_ctx, "TLS_AES_256_GCM_SHA384") == 1, "suite");
    check(SSL_CTX_set1_groups_list(client_ctx, "X25519") == 1, "group");
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, keep_ticket);
    double full = microseconds_of_a_handshake(false, seconds), resumed = microseconds_of_a_handshake(true, seconds);
    bulk(seconds, &seal, &open);
    printf("{\"full_us\": %.1f, \"resumed_us\": %.1f, \"seal_s_per_gib\": %.3f, \"open_s_per_gib\": %.3f}\n", full, resumed,
           seal, open);
}
