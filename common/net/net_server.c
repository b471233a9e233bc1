#include "common/net/net_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/net/net_serving.h"
#include "common/net/tls_key.h"

#define SECOND		INT64_C(1000000000)
#define SLOWEST		8192		/* bytes a second, below which nobody is waited for */
#define WATCH_NS	(SECOND / 4)
#define STACK		(4u << 20)
#define POOL		(256u << 10)	/* of a connection: heads, and what of a body is under way */
#define BACKLOG		128
#define PRIORITIES	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* One TLS key as GnuTLS wants it for each handshake. */
struct serving_key {
	const char *name;
	gnutls_pcert_st cert;
	gnutls_privkey_t key;
	int cert_made, key_made;
};

void
serving_wait(struct serving_conn *c, unsigned seconds)
{
	c->began = io_mono_ns();
	atomic_store(&c->deadline, c->began + (int64_t)seconds * SECOND);
}

void
serving_moved(struct serving_conn *c, uint64_t bytes)
{
	int64_t idle = io_mono_ns() + (int64_t)c->s->idle_seconds * SECOND;
	int64_t all = c->began + ((int64_t)c->s->request_seconds + (int64_t)(bytes / SLOWEST)) * SECOND;

	atomic_store(&c->deadline, idle < all ? idle : all);
}

void
serving_work(struct serving_conn *c)
{
	atomic_store(&c->deadline, INT64_MAX);
}

static void *
uri_came(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct serving_request *q = calloc(1, sizeof(*q));

	(void)arg;
	(void)connection;
	if (q == NULL)
		return NULL;
	q->too_long = strlen(uri) > NET_PATH_MAX;
	q->uri = strdup(q->too_long ? "/" : uri);
	q->began = io_mono_ns();
	if (q->uri != NULL)
		return q;
	free(q);
	return NULL;
}

static void
busy(struct net_server *s, int more)
{
	(void)pthread_mutex_lock(&s->lock);
	s->busy += (unsigned)more;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

/* The head came. */
static enum MHD_Result
head_came(struct serving_request *q, struct MHD_Connection *connection, const char *method)
{
	struct net_server *s = q->conn->s;
	struct net_reply out;

	memset(&out, 0, sizeof(out));
	busy(s, 1);
	atomic_fetch_add(&s->requests, 1);
	serving_work(q->conn);
	if (request_begin(q, connection, method, &out) == 0 && !atomic_load(&s->stopping)) {
		serving_wait(q->conn, s->idle_seconds);
		return MHD_YES;
	}
	if (atomic_load(&s->stopping))
		reply_problem(&out, 503, "The server is about to stop");
	atomic_fetch_add(&s->refused, 1);
	q->refused = 1;
	/* Where a short body is on its way already it is let in, so that the answer is not lost with the connection. */
	if (q->r.length > 0 && q->r.length <= SERVING_DRAIN &&
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) == NULL) {
		q->refusal = out;
		serving_wait(q->conn, s->idle_seconds);
		return MHD_YES;
	}
	return (enum MHD_Result)reply_send(q, connection, &out);
}

static enum MHD_Result
request_came(struct serving_request *q, struct MHD_Connection *connection)
{
	struct net_reply out;

	if (q->handled)
		return MHD_NO;
	q->handled = 1;
	if (q->refused)
		return (enum MHD_Result)reply_send(q, connection, &q->refusal);
	memset(&out, 0, sizeof(out));
	out.status = 500;
	serving_work(q->conn);
	if (request_whole(q, &out) == 0)
		q->conn->s->ops.handle(q->conn->s->ops.arg, &q->r, &out);
	return (enum MHD_Result)reply_send(q, connection, &out);
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *bytes, size_t *len, void **con_cls)
{
	struct serving_request *q = *con_cls;
	const union MHD_ConnectionInfo *info;

	(void)arg;
	(void)url;
	(void)version;
	if (q == NULL)
		return MHD_NO;
	if (!q->begun) {
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
		if (info == NULL || info->socket_context == NULL)
			return MHD_NO;
		q->conn = info->socket_context;
		return head_came(q, connection, method);
	}
	if (*len == 0)
		return request_came(q, connection);
	if (request_body(q, bytes, *len) != 0)
		return MHD_NO;
	*len = 0;
	return MHD_YES;
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct serving_request *q = *con_cls;
	struct net_server *s = arg;

	(void)connection;
	*con_cls = NULL;
	if (q == NULL)
		return;
	if (q->begun) {
		atomic_fetch_add(&s->in, q->got);
		atomic_fetch_add(&s->out, q->sent);
		if (s->ops.done != NULL)
			s->ops.done(s->ops.arg, &q->r, why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? q->status : 0,
			    q->got, q->sent, io_mono_ns() - q->began);
		serving_wait(q->conn, s->idle_seconds);
		busy(s, -1);
	}
	request_free(q);
}

static void
client_name(struct MHD_Connection *connection, char *out, size_t cap)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	socklen_t len;

	(void)snprintf(out, cap, "?");
	if (info == NULL || info->client_addr == NULL)
		return;
	len = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (getnameinfo(info->client_addr, len, out, (socklen_t)cap, NULL, 0, NI_NUMERICHOST) != 0)
		(void)snprintf(out, cap, "?");
}

static void
conn_begin(struct net_server *s, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *info;
	struct serving_conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (c == NULL)
		return;
	c->s = s;
	c->fd = -1;
	if ((info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)) != NULL)
		c->fd = info->connect_fd;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if ((info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)) != NULL &&
	    info->tls_session != NULL)
		gnutls_session_set_ptr((gnutls_session_t)info->tls_session, c);
	client_name(connection, c->client, sizeof(c->client));
	serving_wait(c, s->idle_seconds);
	*context = c;
	atomic_fetch_add(&s->connections, 1);
	atomic_fetch_add(&s->open, 1);
	(void)pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	c->back = &s->conns;
	if (c->next != NULL)
		c->next->back = &c->next;
	s->conns = c;
	(void)pthread_mutex_unlock(&s->lock);
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what)
{
	struct net_server *s = arg;
	struct serving_conn *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		conn_begin(s, connection, context);
		return;
	}
	if (c == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	(void)pthread_mutex_unlock(&s->lock);
	atomic_fetch_sub(&s->open, 1);
	*context = NULL;
	free(c);
}

/* Which certificate a client sees: that of the name it asks for, else the first. */
static int
on_certificate(gnutls_session_t session, const gnutls_datum_t *req_ca_dn, int nreqs, const gnutls_pk_algorithm_t *algos,
    int nalgos, gnutls_pcert_st **cert, unsigned *ncert, gnutls_privkey_t *key)
{
	struct serving_conn *c = gnutls_session_get_ptr(session);
	char name[256];
	size_t len = sizeof(name) - 1, i = 0;
	unsigned type;

	(void)req_ca_dn;
	(void)nreqs;
	(void)algos;
	(void)nalgos;
	if (c == NULL)
		return -1;
	if (gnutls_server_name_get(session, name, &len, &type, 0) == 0 && type == GNUTLS_NAME_DNS)
		for (; i < c->s->nkeys && strcasecmp(c->s->keys[i].name, name) != 0; i++)
			;
	if (i == c->s->nkeys)
		i = 0;
	*cert = &c->s->keys[i].cert;
	*ncert = 1;
	*key = c->s->keys[i].key;
	return 0;
}

/* Cuts whoever does not get on. */
static void *
watch(void *arg)
{
	struct net_server *s = arg;
	struct timespec until;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		int64_t now = io_mono_ns();

		for (struct serving_conn *c = s->conns; c != NULL; c = c->next)
			if (atomic_load(&c->deadline) < now && c->fd != -1)
				(void)shutdown(c->fd, SHUT_RDWR);
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WATCH_NS;
		if (until.tv_nsec >= SECOND) {
			until.tv_nsec -= SECOND;
			until.tv_sec++;
		}
		(void)pthread_cond_timedwait(&s->changed, &s->lock, &until);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void
keys_free(struct net_server *s)
{
	for (size_t i = 0; i < s->nkeys; i++) {
		if (s->keys[i].cert_made)
			gnutls_pcert_deinit(&s->keys[i].cert);
		if (s->keys[i].key_made)
			gnutls_privkey_deinit(s->keys[i].key);
	}
	free(s->keys);
}

static int
key_load(struct serving_key *k, const struct tls_key *from, struct err *e)
{
	gnutls_datum_t cert = { NULL, 0 }, key = { NULL, 0 };
	int rc;

	k->name = tls_key_name(from);
	/* GnuTLS asks for bytes that it may change, and does not. */
	cert.data = (unsigned char *)(uintptr_t)tls_key_certificate(from);
	cert.size = (unsigned)strlen(tls_key_certificate(from));
	key.data = (unsigned char *)(uintptr_t)tls_key_secret(from);
	key.size = (unsigned)strlen(tls_key_secret(from));
	if ((rc = gnutls_pcert_import_x509_raw(&k->cert, &cert, GNUTLS_X509_FMT_PEM, 0)) == 0) {
		k->cert_made = 1;
		if ((rc = gnutls_privkey_init(&k->key)) == 0) {
			k->key_made = 1;
			rc = gnutls_privkey_import_x509_raw(k->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
		}
	}
	return rc == 0 ? 0 : err_set(e, ERR_VAULT_KEY, "the TLS key of %s: %s", k->name, gnutls_strerror(rc));
}

/* "host:port", "[host]:port" into two strings.  0 or -1. */
static int
address_split(const char *address, char *host, size_t cap, char *port, size_t pcap)
{
	const char *colon = strrchr(address, ':'), *from = address, *to = colon;

	if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return -1;
	if (*address == '[') {
		if (colon == address || colon[-1] != ']')
			return -1;
		from++;
		to--;
	}
	if (from >= to || (*address != '[' && memchr(from, ':', (size_t)(to - from)) != NULL))
		return -1;
	return snprintf(host, cap, "%.*s", (int)(to - from), from) < (int)cap &&
	    snprintf(port, pcap, "%s", colon + 1) < (int)pcap ? 0 : -1;
}

/* A socket that listens at ${a}, or -1 with errno. */
static int
listen_at(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, kept;

	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	kept = errno;
	(void)close(fd);
	errno = kept;
	return -1;
}

static int
listen_open(struct net_server *s, const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	char host[256], port[8];
	int rc;

	if (address_split(address, host, sizeof(host), port, sizeof(port)) != 0 || strtoul(port, NULL, 10) > 65535)
		return err_set(e, ERR_USAGE, "\"%.100s\" is not an address to listen on: ADDRESS:PORT", address);
	if ((rc = getaddrinfo(host, port, &hints, &found)) != 0)
		return err_set(e, ERR_USAGE, "the address %.100s: %s", address, gai_strerror(rc));
	s->listener = listen_at(found);
	freeaddrinfo(found);
	if (s->listener == -1)
		return err_set(e, errno == EADDRINUSE ? ERR_BUSY : ERR_LINE, "listen on %.100s: %s", address, strerror(errno));
	if (getsockname(s->listener, (struct sockaddr *)&at, &len) == 0)
		s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&at)->sin6_port :
		    ((struct sockaddr_in *)(void *)&at)->sin_port);
	return 0;
}

static int
daemon_start(struct net_server *s, const struct net_server_options *o, struct err *e)
{
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_TLS |
	    MHD_USE_ITC;

	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s,
	    MHD_OPTION_LISTEN_SOCKET, s->listener,
	    MHD_OPTION_CONNECTION_LIMIT, o->connections > 0 ? o->connections : 256u,
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->connections_per_client > 0 ? o->connections_per_client : 32u,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
	    MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
	    MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
	    MHD_OPTION_HTTPS_CERT_CALLBACK, on_certificate,
	    MHD_OPTION_URI_LOG_CALLBACK, uri_came, s,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_END);
	if (s->daemon == NULL)
		return err_set(e, ERR_LINE, "the server could not be started at %.100s", o->address);
	s->listener = -1;	/* the daemon's now */
	return 0;
}

static int
watch_start(struct net_server *s, struct err *e)
{
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	if ((errno = pthread_create(&s->watch, NULL, watch, s)) != 0)
		return err_errno(e, "start the server");
	s->watching = 1;
	return 0;
}

static void
server_free(struct net_server *s)
{
	if (s->watching) {
		(void)pthread_mutex_lock(&s->lock);
		s->ending = 1;
		(void)pthread_cond_broadcast(&s->changed);
		(void)pthread_mutex_unlock(&s->lock);
		(void)pthread_join(s->watch, NULL);
	}
	if (s->daemon != NULL)
		MHD_stop_daemon(s->daemon);
	if (s->listener != -1)
		(void)close(s->listener);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->changed);
	keys_free(s);
	free(s);
}

struct net_server *
net_server_start(const struct net_server_options *o, const struct tls_key *const *keys, size_t nkeys, struct err *e)
{
	struct net_server *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->keys = calloc(nkeys > 0 ? nkeys : 1, sizeof(*s->keys))) == NULL) {
		free(s);
		(void)err_errno(e, "start the server");
		return NULL;
	}
	s->ops = *o->ops;
	s->listener = -1;
	s->tmpfd = o->tmpfd;
	s->body_memory = o->body_memory > 0 ? o->body_memory : 256u << 10;
	s->idle_seconds = o->idle_seconds > 0 ? o->idle_seconds : 60;
	s->request_seconds = o->request_seconds > 0 ? o->request_seconds : 120;
	if (watch_start(s, e) != 0)
		goto free;
	for (; s->nkeys < nkeys; s->nkeys++)
		if (key_load(&s->keys[s->nkeys], keys[s->nkeys], e) != 0) {
			s->nkeys++;
			goto free;
		}
	if (listen_open(s, o->address, e) != 0 || daemon_start(s, o, e) != 0)
		goto free;
	return s;
free:
	server_free(s);
	return NULL;
}

unsigned
net_server_port(const struct net_server *s)
{
	return s->port;
}

void
net_server_stop(struct net_server *s, unsigned seconds)
{
	struct timespec until;
	int listener;

	if (s == NULL)
		return;
	atomic_store(&s->stopping, 1);
	if ((listener = MHD_quiesce_daemon(s->daemon)) != -1)
		s->listener = listener;		/* ours again */
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)seconds;
	(void)pthread_mutex_lock(&s->lock);
	while (s->busy > 0 && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT)
		;
	for (struct serving_conn *c = s->conns; c != NULL; c = c->next)
		if (c->fd != -1)
			(void)shutdown(c->fd, SHUT_RDWR);
	(void)pthread_mutex_unlock(&s->lock);
	server_free(s);
}

void
net_server_numbers(struct net_server *s, struct net_server_numbers *n)
{
	n->connections = atomic_load(&s->connections);
	n->requests = atomic_load(&s->requests);
	n->refused = atomic_load(&s->refused);
	n->bytes_in = atomic_load(&s->in);
	n->bytes_out = atomic_load(&s->out);
	n->open = atomic_load(&s->open);
}
