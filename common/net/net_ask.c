#include <curl/curl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/base/stop.h"
#include "common/base/text.h"
#include "common/net/net_asking.h"
#include "common/net/throttle.h"
#include "common/net/tls_pin.h"

#define PROBLEM_MAX	65536u		/* of an answer that refuses */
#define ANSWER_MAX	(1u << 20)	/* where nobody said */
#define BLOCK		(256L << 10)
#define WINDOW_SHARE	4u		/* of a second: what may be on its way here, of one answer, where a rate is set */
#define WINDOW_LEAST	(16u << 10)
#define HEADS		50u		/* one byte in so many: heads of TCP and TLS, for the throttle; 28 to 60 on common lines */
#define EXPECT_LEN	(1u << 20)	/* a longer body waits until the server says that it takes it; what is shorter costs less than the wait */

static int
failed(struct asking *t, enum err_code code, const char *what)
{
	if (!t->failed)
		(void)err_set(t->e, code, "%s: %s", t->c->host, what);
	t->failed = 1;
	return -1;
}

/* The key of the very connection that this request goes over. */
static int
pin_read(CURL *curl, uint8_t pin[NET_PIN_LEN])
{
	struct curl_tlssessioninfo *info = NULL;
	const gnutls_datum_t *certs;
	gnutls_x509_crt_t crt;
	unsigned n = 0;
	int rc;

	if (curl_easy_getinfo(curl, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
	    info->backend != CURLSSLBACKEND_GNUTLS || info->internals == NULL)
		return -1;
	certs = gnutls_certificate_get_peers(info->internals, &n);
	if (certs == NULL || n == 0 || gnutls_x509_crt_init(&crt) != 0)
		return -1;
	if ((rc = gnutls_x509_crt_import(crt, &certs[0], GNUTLS_X509_FMT_DER)) == 0)
		rc = tls_pin_of(crt, pin);
	gnutls_x509_crt_deinit(crt);
	return rc == 0 ? 0 : -1;
}

/* There is a connection and nothing of the request went over it yet. */
static int
on_connected(void *arg, char *to, char *from, int to_port, int from_port)
{
	struct asking *t = arg;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	if (pin_read(t->curl, t->r->pin) != 0) {
		(void)failed(t, ERR_PROTOCOL, "the server shows no key");
		return CURL_PREREQFUNC_ABORT;
	}
	if (t->pinned && memcmp(t->pin, t->r->pin, NET_PIN_LEN) != 0) {
		t->wrong_pin = 1;
		return CURL_PREREQFUNC_ABORT;
	}
	return CURL_PREREQFUNC_OK;
}

/* What ${n} bytes take on the line, about; and the other way round, one at least. */
static uint64_t
line_bytes(uint64_t n)
{
	return n + n / HEADS;
}

static uint64_t
body_bytes(uint64_t n)
{
	n -= n / (HEADS + 1);
	return n > 0 ? n : 1;
}

static size_t
on_send(char *out, size_t size, size_t n, void *arg)
{
	struct asking *t = arg;
	const struct net_ask *a = t->a;
	uint64_t cap = (uint64_t)size * n, left = a->body_len - t->off, paid;
	long put;

	if (cap > left)
		cap = left;
	if (cap == 0)
		return 0;
	if (t->c->throttle != NULL && (paid = body_bytes(throttle_take(t->c->throttle, line_bytes(cap)))) < cap)
		cap = paid;
	if (a->body != NULL) {
		memcpy(out, (const uint8_t *)a->body + t->off, (size_t)cap);
		put = (long)cap;
	} else if (a->send == NULL || (put = a->send(a->send_arg, t->off, out, (size_t)cap)) <= 0 || (uint64_t)put > cap) {
		(void)failed(t, ERR_IO, "what was to be sent could not be read");
		return CURL_READFUNC_ABORT;
	}
	t->off += (uint64_t)put;
	t->r->sent += (uint64_t)put;
	return (size_t)put;
}

static int
on_seek(void *arg, curl_off_t off, int whence)
{
	struct asking *t = arg;

	if (whence != SEEK_SET || off < 0 || (uint64_t)off > t->a->body_len)
		return CURL_SEEKFUNC_CANTSEEK;
	t->off = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

/* The value of header ${name} where this line is it, zero-terminated in ${out}; else NULL. */
static const char *
header_is(const char *line, size_t len, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	len -= n + 1;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
		len--;
	if (len >= cap)
		return NULL;
	memcpy(out, line, len);
	out[len] = '\0';
	return out;
}

static void
type_keep(struct net_answer *r, const char *v)
{
	size_t n = strcspn(v, "; \t");

	if (n >= sizeof(r->type))
		n = sizeof(r->type) - 1;
	for (size_t i = 0; i < n; i++)
		r->type[i] = (char)(v[i] >= 'A' && v[i] <= 'Z' ? v[i] - 'A' + 'a' : v[i]);
	r->type[n] = '\0';
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct asking *t = arg;
	size_t len = size * n;
	char v[512];
	unsigned long long a, b;

	if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		/* Another head: of the proxy, "100 Continue", or the answer. */
		t->r->type[0] = '\0';
		t->r->date = 0;
		t->r->retry_after = 0;
		t->ranged = 0;
	} else if (header_is(line, len, NET_MARK, v, sizeof(v)) != NULL) {
		/* What stands between may answer twice: then all that follows on the connection is one too late. */
		if (strcmp(v, t->mark) != 0) {
			t->strange = 1;
			return 0;
		}
	} else if (header_is(line, len, "Content-Type", v, sizeof(v)) != NULL) {
		type_keep(t->r, v);
	} else if (header_is(line, len, "Date", v, sizeof(v)) != NULL) {
		t->r->date = curl_getdate(v, NULL) > 0 ? (int64_t)curl_getdate(v, NULL) : 0;
	} else if (header_is(line, len, "Retry-After", v, sizeof(v)) != NULL) {
		t->r->retry_after = strspn(v, "0123456789") == strlen(v) && strlen(v) < 7 ? strtoull(v, NULL, 10) : 0;
	} else if (header_is(line, len, "Content-Range", v, sizeof(v)) != NULL &&
	    sscanf(v, "bytes %llu-%llu/", &a, &b) == 2 && a <= b) {
		t->ranged = 1;
		t->range_begin = a;
		t->range_end = b;
	}
	return len;
}

static int
is_get(const struct asking *t)
{
	return strcmp(t->a->method, "GET") == 0;
}

/* What this try asks for: where in the whole it begins, and how much (0: to the end). */
static void
wanted(const struct asking *t, uint64_t *from, uint64_t *len)
{
	*from = *len = 0;
	if (!is_get(t))
		return;
	*from = t->a->range_from + t->skipped;
	*len = t->a->range_len == 0 ? 0 : t->a->range_len - t->skipped;
}

/* The first bytes of an answer with 2xx: is it what was asked for? */
static int
answer_begins(struct asking *t)
{
	uint64_t from, len;

	wanted(t, &from, &len);
	if (from == 0 && len == 0)
		return 0;
	if (t->r->status != 206 || !t->ranged || t->range_begin != from ||
	    (len != 0 && t->range_end != from + len - 1))
		return failed(t, ERR_PROTOCOL, "the answer is another part than was asked for");
	return 0;
}

/*
 * An answer is not to come faster than it may be taken: what the kernel took in
 * meanwhile went over the line already.  So where a rate is set the window that is
 * offered is small; where none is set any more it is as it was.
 */
static void
window_fit(struct asking *t)
{
	uint64_t rate = throttle_rate(t->c->throttle), window = rate / WINDOW_SHARE;
	curl_socket_t fd = CURL_SOCKET_BAD;
	int clamp;

	if (rate == 0 && !atomic_load(&t->c->narrow))
		return;
	atomic_store(&t->c->narrow, true);
	clamp = rate == 0 || window > INT_MAX / 2 ? INT_MAX / 2 : window < WINDOW_LEAST ? (int)WINDOW_LEAST : (int)window;
	if (clamp == t->window || curl_easy_getinfo(t->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp));
	if (rate == 0)
		t->window = clamp;
}

static size_t
on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct asking *t = arg;
	size_t len = size * n;
	uint64_t max = t->a->answer_max > 0 ? t->a->answer_max : ANSWER_MAX;
	long status = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->r->status = (unsigned)status;
	if (status / 100 != 2) {
		if (t->r->body.len + len <= PROBLEM_MAX)
			buf_add(&t->r->body, bytes, len);
		return len;
	}
	if (t->got == 0 && answer_begins(t) != 0)
		return 0;
	t->got += len;
	t->r->received += len;
	if (t->skipped + t->got > max) {
		(void)failed(t, ERR_PROTOCOL, "the answer is longer than it can be");
		return 0;
	}
	window_fit(t);
	for (uint64_t paid = 0, all = line_bytes(len); t->c->throttle != NULL && paid < all; )
		paid += throttle_take(t->c->throttle, all - paid);
	if (t->a->take == NULL) {
		buf_add(&t->r->body, bytes, len);
		return len;
	}
	if (t->a->take(t->a->take_arg, bytes, len, t->e) != 0) {
		t->failed = 1;
		return 0;
	}
	t->taken += len;
	return len;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return stop_asked();
}

static void
options_line(struct asking *t, struct curl_slist *to)
{
	CURL *u = t->curl;
	struct net_client *c = t->c;
	unsigned stall = t->a->patience_seconds > 0 ? t->a->patience_seconds : c->stall_seconds;

	(void)curl_easy_setopt(u, CURLOPT_PROTOCOLS_STR, "https");
	(void)curl_easy_setopt(u, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(u, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(u, CURLOPT_SSL_VERIFYPEER, 0L);	/* the pin is what counts */
	(void)curl_easy_setopt(u, CURLOPT_SSL_VERIFYHOST, 0L);
	(void)curl_easy_setopt(u, CURLOPT_CAINFO, NULL);	/* reading the system's authorities takes longer than all else */
	(void)curl_easy_setopt(u, CURLOPT_CAPATH, NULL);
	(void)curl_easy_setopt(u, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(u, CURLOPT_PREREQFUNCTION, on_connected);
	(void)curl_easy_setopt(u, CURLOPT_PREREQDATA, t);
	(void)curl_easy_setopt(u, CURLOPT_NOPROXY, "");
	(void)curl_easy_setopt(u, CURLOPT_PROXY, c->proxy);
	if (c->proxy[0] != '\0') {
		(void)curl_easy_setopt(u, CURLOPT_HTTPPROXYTUNNEL, 1L);
		(void)curl_easy_setopt(u, CURLOPT_PROXYTYPE, CURLPROXY_HTTP);
		(void)curl_easy_setopt(u, CURLOPT_PROXYAUTH, (long)(CURLAUTH_BASIC | CURLAUTH_DIGEST));
		(void)curl_easy_setopt(u, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	}
	(void)curl_easy_setopt(u, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);	/* no token to a proxy */
	if (to != NULL)
		(void)curl_easy_setopt(u, CURLOPT_CONNECT_TO, to);
	(void)curl_easy_setopt(u, CURLOPT_CONNECTTIMEOUT, (long)c->connect_seconds);
	(void)curl_easy_setopt(u, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(u, CURLOPT_LOW_SPEED_TIME, (long)stall);
	(void)curl_easy_setopt(u, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(u, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(u, CURLOPT_BUFFERSIZE, BLOCK);
	(void)curl_easy_setopt(u, CURLOPT_UPLOAD_BUFFERSIZE, BLOCK);
	(void)curl_easy_setopt(u, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(u, CURLOPT_USERAGENT, "samara/" SAMARA_VERSION);
}

static void
options_request(struct asking *t, const char *url, struct curl_slist *headers, char *range, size_t cap)
{
	CURL *u = t->curl;
	const struct net_ask *a = t->a;
	uint64_t from, len;

	(void)curl_easy_setopt(u, CURLOPT_URL, url);
	(void)curl_easy_setopt(u, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(u, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(u, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(u, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(u, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(u, CURLOPT_WRITEDATA, t);
	if (a->body_len > 0 || strcmp(a->method, "PUT") == 0 || strcmp(a->method, "POST") == 0) {
		(void)curl_easy_setopt(u, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(u, CURLOPT_INFILESIZE_LARGE, (curl_off_t)a->body_len);
		(void)curl_easy_setopt(u, CURLOPT_READFUNCTION, on_send);
		(void)curl_easy_setopt(u, CURLOPT_READDATA, t);
		(void)curl_easy_setopt(u, CURLOPT_SEEKFUNCTION, on_seek);
		(void)curl_easy_setopt(u, CURLOPT_SEEKDATA, t);
	}
	if (strcmp(a->method, "HEAD") == 0)
		(void)curl_easy_setopt(u, CURLOPT_NOBODY, 1L);
	else
		(void)curl_easy_setopt(u, CURLOPT_CUSTOMREQUEST, a->method);
	wanted(t, &from, &len);
	if (from > 0 || len > 0) {
		if (len > 0)
			(void)snprintf(range, cap, "%llu-%llu", (unsigned long long)from,
			    (unsigned long long)(from + len - 1));
		else
			(void)snprintf(range, cap, "%llu-", (unsigned long long)from);
		(void)curl_easy_setopt(u, CURLOPT_RANGE, range);
	}
}

/* What curl's end of a try means: as asking_try. */
static int
outcome(struct asking *t, CURLcode rc, const char *words)
{
	long connect = 0, proxy = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_HTTP_CONNECTCODE, &connect);
	(void)curl_easy_getinfo(t->curl, CURLINFO_PROXY_ERROR, &proxy);
	t->r->status = 0;	/* whatever came of it is no answer */
	if (words[0] == '\0')
		words = curl_easy_strerror(rc);
	if (t->wrong_pin || rc == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		return err_set(t->e, ERR_PIN, "the server at %s has another key than the one that is trusted", t->c->host);
	if (t->failed)
		return -1;
	if (t->strange) {
		(void)err_set(t->e, ERR_LINE, "%s: the answer to another request came", t->c->host);
		return 1;
	}
	if (rc == CURLE_ABORTED_BY_CALLBACK && stop_asked())
		return err_set(t->e, ERR_INTERRUPTED, "stopped as asked");
	if (t->c->proxy[0] != '\0' && connect != 0 && connect / 100 != 2) {
		(void)err_set(t->e, ERR_PROXY, "the proxy %s answers %ld%s", t->c->proxy_name, connect,
		    connect == 407 ? ": it wants a user and a password" : "");
		return connect == 407 ? -1 : 1;
	}
	if (rc == CURLE_COULDNT_RESOLVE_PROXY || rc == CURLE_PROXY ||
	    (rc == CURLE_COULDNT_CONNECT && t->c->proxy[0] != '\0')) {
		(void)err_set(t->e, ERR_PROXY, "the proxy %s: %s", t->c->proxy_name, words);
		return 1;
	}
	if (rc == CURLE_WEIRD_SERVER_REPLY || rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_BAD_CONTENT_ENCODING)
		return err_set(t->e, ERR_PROTOCOL, "%s: %s", t->c->host, words);
	(void)err_set(t->e, rc == CURLE_OUT_OF_MEMORY ? ERR_MEMORY : ERR_LINE, "%s: %s", t->c->host, words);
	return 1;
}

/* The whole answer is here. */
static int
answered(struct asking *t)
{
	long status = 0;
	uint64_t from, len;

	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->r->status = (unsigned)status;
	if (buf_check(&t->r->body, t->e) != 0)
		return -1;
	if (status < 200 || status > 599)
		return failed(t, ERR_PROTOCOL, "the answer is none of this protocol");
	if (status / 100 == 2 && strcmp(t->a->method, "HEAD") != 0) {
		wanted(t, &from, &len);
		if ((len > 0 || from > 0) && (t->got == 0 || (len > 0 && t->got != len)))
			return failed(t, ERR_PROTOCOL, "the answer is another part than was asked for");
	}
	if (status == 429 || status == 502 || status == 503 || status == 504) {
		(void)err_set(t->e, ERR_LINE, "%s: the server answers %ld", t->c->host, status);
		return 1;
	}
	return 0;
}

/* "Authorization: Bearer …" and the rest; the token's copy is wiped with headers_free. */
static struct curl_slist *
headers_make(struct asking *t)
{
	struct curl_slist *list = NULL, *more;
	char *line = secret_new(1024);

	(void)snprintf(line, 1024, "Content-Type: %s", t->a->type != NULL ? t->a->type : "application/octet-stream");
	if (t->a->body_len > 0)
		list = curl_slist_append(list, line);
	(void)snprintf(line, 1024, NET_MARK ": %s", t->mark);
	if ((more = curl_slist_append(list, line)) != NULL)
		list = more;
	if (t->a->body_len <= EXPECT_LEN && (more = curl_slist_append(list, "Expect:")) != NULL)
		list = more;
	(void)pthread_mutex_lock(&t->c->lock);
	if (t->c->token != NULL) {
		(void)snprintf(line, 1024, "Authorization: Bearer %s", t->c->token);
		if ((more = curl_slist_append(list, line)) != NULL)
			list = more;
	}
	(void)pthread_mutex_unlock(&t->c->lock);
	secret_free(line);
	return list;
}

static void
headers_free(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at != NULL; at = at->next)
		secret_wipe(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

static void
bytes_count(struct asking *t)
{
	curl_off_t up = 0, down = 0;
	long heads = 0, asked = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_SIZE_UPLOAD_T, &up);
	(void)curl_easy_getinfo(t->curl, CURLINFO_SIZE_DOWNLOAD_T, &down);
	(void)curl_easy_getinfo(t->curl, CURLINFO_HEADER_SIZE, &heads);
	(void)curl_easy_getinfo(t->curl, CURLINFO_REQUEST_SIZE, &asked);
	atomic_fetch_add(&t->c->sent, (uint64_t)up + (uint64_t)asked);
	atomic_fetch_add(&t->c->received, (uint64_t)down + (uint64_t)heads);
}

int
asking_try(struct asking *t)
{
	struct curl_slist *headers, *to = NULL;
	char url[2048], words[CURL_ERROR_SIZE] = "", range[64];
	uint8_t mark[NET_MARK_LEN];
	CURLcode rc;

	io_random(mark, sizeof(mark));
	(void)text_hex(t->mark, mark, sizeof(mark));
	headers = headers_make(t);
	t->off = t->got = 0;
	t->failed = t->wrong_pin = t->ranged = t->strange = t->window = 0;
	t->skipped = t->taken;
	t->r->status = 0;
	buf_reset(&t->r->body);
	/* What was given away already cannot be taken back: only a GET goes on behind it. */
	if (t->skipped > 0 && !is_get(t)) {
		headers_free(headers);
		return failed(t, ERR_LINE, "the answer broke off");
	}
	if (t->c->connect_to != NULL)
		to = curl_slist_append(NULL, t->c->connect_to);
	if (snprintf(url, sizeof(url), "%s%s", t->c->base, t->a->path) >= (int)sizeof(url))
		rc = CURLE_URL_MALFORMAT;
	else {
		options_line(t, to);
		options_request(t, url, headers, range, sizeof(range));
		(void)curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, words);
		rc = curl_easy_perform(t->curl);
	}
	bytes_count(t);
	(void)curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, NULL);
	headers_free(headers);
	curl_slist_free_all(to);
	return rc == CURLE_OK && !t->failed ? answered(t) : outcome(t, rc, words);
}
