/* How the line may be used, as the administrator set it. */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/flow/alert_tell.h"
#include "common/flow/policy.h"

#define FILE_NAME	"policy"
#define FILE_LEN_MAX	4096
#define DAY_MINUTES	1440u
#define NS		INT64_C(1000000000)

static const char *const days[7] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

void
policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
	p->work_from = 9 * 60;
	p->work_to = 18 * 60;
	p->work_days = 0x1f;
}

/* --- one key, as text */

static int
rate_set(uint64_t *rate, const char *value, struct err *e)
{
	uint64_t v;

	if (strcmp(value, "none") == 0) {
		*rate = 0;
		return 0;
	}
	if (human_parse_rate(value, &v, e) != 0)
		return -1;
	if (v < POLICY_RATE_MIN || v > POLICY_RATE_MAX)
		return err_set(e, ERR_USAGE, "a throttle of %s is outside 512 Kbps to 1,023 MBps; or say none", value);
	*rate = v;
	return 0;
}

/* Kilobits where that is exact and short, as lines are sold; else bytes. */
static void
rate_text(uint64_t rate, char *out, size_t cap)
{
	if (rate == 0)
		(void)snprintf(out, cap, "none");
	else if (rate % 1000000 == 0)
		(void)snprintf(out, cap, "%" PRIu64 " MBps", rate / 1000000);
	else if (rate % 125 == 0)
		(void)snprintf(out, cap, "%" PRIu64 " Kbps", rate / 125);
	else
		(void)snprintf(out, cap, "%" PRIu64 " B/s", rate);
}

/* "9:00" or "18": minutes; where it ends, or NULL. */
static const char *
clock_parse(const char *s, unsigned *minutes)
{
	unsigned h = 0, m = 0, n = 0;

	for (; n < 2 && isdigit((unsigned char)*s); n++, s++)
		h = h * 10 + (unsigned)(*s - '0');
	if (n == 0 || h > 24)
		return NULL;
	if (*s == ':') {
		if (!isdigit((unsigned char)s[1]) || !isdigit((unsigned char)s[2]))
			return NULL;
		m = (unsigned)(s[1] - '0') * 10 + (unsigned)(s[2] - '0');
		s += 3;
	}
	*minutes = h * 60 + m;
	return m < 60 && *minutes <= DAY_MINUTES ? s : NULL;
}

static int
hours_set(struct policy *p, const char *value, struct err *e)
{
	unsigned from, to;
	const char *at = clock_parse(value, &from);

	if (at != NULL && *at == '-' && (at = clock_parse(at + 1, &to)) != NULL && *at == 0 && from < to) {
		p->work_from = from;
		p->work_to = to;
		return 0;
	}
	return err_set(e, ERR_USAGE, "\"%s\" are no work hours; write them like 9:00-18:00, the earlier first", value);
}

static int
day_parse(const char **s)
{
	for (int d = 0; d < 7; d++)
		if (strncasecmp(*s, days[d], 3) == 0 && !isalpha((unsigned char)(*s)[3])) {
			*s += 3;
			return d;
		}
	return -1;
}

/* "mon-fri,sun"; a range may run over the end of the week. */
static int
days_set(struct policy *p, const char *value, struct err *e)
{
	unsigned set = 0;
	const char *s = value;

	for (;;) {
		int from = day_parse(&s), to = from;

		if (from != -1 && *s == '-') {
			s++;
			to = day_parse(&s);
		}
		if (from == -1 || to == -1 || (*s != ',' && *s != 0))
			return err_set(e, ERR_USAGE, "\"%s\" are no work days; write them like mon-fri or mon,wed,sat", value);
		for (int d = from;; d = (d + 1) % 7) {
			set |= 1u << d;
			if (d == to)
				break;
		}
		if (*s++ == 0)
			break;
	}
	p->work_days = set;
	return 0;
}

static void
days_text(unsigned set, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = 0;
	for (unsigned d = 0; d < 7; d++) {
		unsigned last = d;

		if ((set >> d & 1) == 0)
			continue;
		while (last < 6 && (set >> (last + 1) & 1) != 0)
			last++;
		n += (size_t)snprintf(out + n, n < cap ? cap - n : 0, last > d + 1 ? "%s%s-%s" : last > d ? "%s%s,%s" : "%s%s",
		    n > 0 ? "," : "", days[d], days[last]);
		d = last;
	}
}

static int
initial_set(struct policy *p, const char *value, struct err *e)
{
	if (strcmp(value, "network") != 0 && strcmp(value, "disk") != 0)
		return err_set(e, ERR_USAGE, "initial is network or disk, not \"%s\"", value);
	p->initial_network = value[0] == 'n';
	return 0;
}

static int
proxy_set(struct policy *p, const char *value, struct err *e)
{
	const char *host = strstr(value, "://");

	if (strcmp(value, "environment") == 0)
		value = "";
	else if (strcmp(value, "none") != 0 && (host == NULL || host[3] == 0 || strncasecmp(value, "http", 4) != 0))
		return err_set(e, ERR_USAGE, "\"%s\" is no proxy; write it like http://user:password@host:3128, or none, or "
		    "environment", value);
	if (strlen(value) >= sizeof(p->proxy))
		return err_set(e, ERR_USAGE, "the proxy's address is too long");
	for (const char *c = value; *c != 0; c++)
		if ((unsigned char)*c <= ' ' || *c == 127)
			return err_set(e, ERR_USAGE, "the proxy's address has a blank or control character in it");
	memset(p->proxy, 0, sizeof(p->proxy));
	memcpy(p->proxy, value, strlen(value));
	return 0;
}

/* Without what stands between "user:" and the last "@". */
static void
proxy_text(const char *proxy, int secret, char *out, size_t cap)
{
	const char *user = strstr(proxy, "://"), *at = strrchr(proxy, '@'), *colon;

	if (proxy[0] == 0)
		(void)snprintf(out, cap, "environment");
	else if (!secret && user != NULL && at != NULL && (colon = memchr(user + 3, ':', (size_t)(at - user - 3))) != NULL)
		(void)snprintf(out, cap, "%.*s:***%s", (int)(colon - proxy), proxy, at);
	else
		(void)snprintf(out, cap, "%s", proxy);
}

static int
way_set(char *to, size_t cap, int command, const char *value, struct err *e)
{
	if (strcmp(value, "none") == 0)
		value = "";
	if (strlen(value) >= cap)
		return err_set(e, ERR_USAGE, "that is too long");
	if (alert_ways_check(command ? value : "", command ? "" : value, e) != 0)
		return -1;
	memset(to, 0, cap);
	memcpy(to, value, strlen(value));
	return 0;
}

const char *
policy_key(size_t i)
{
	static const char *const keys[] = { "throttle-work", "throttle-other", "work-hours", "work-days", "initial", "proxy",
		"alert-command", "alert-mail" };

	return i < sizeof(keys) / sizeof(keys[0]) ? keys[i] : NULL;
}

int
policy_set(struct policy *p, const char *key, const char *value, struct err *e)
{
	if (strcmp(key, "throttle-work") == 0)
		return rate_set(&p->rate_work, value, e);
	if (strcmp(key, "throttle-other") == 0)
		return rate_set(&p->rate_other, value, e);
	if (strcmp(key, "work-hours") == 0)
		return hours_set(p, value, e);
	if (strcmp(key, "work-days") == 0)
		return days_set(p, value, e);
	if (strcmp(key, "initial") == 0)
		return initial_set(p, value, e);
	if (strcmp(key, "proxy") == 0)
		return proxy_set(p, value, e);
	if (strcmp(key, "alert-command") == 0)
		return way_set(p->alert_command, sizeof(p->alert_command), 1, value, e);
	if (strcmp(key, "alert-mail") == 0)
		return way_set(p->alert_mail, sizeof(p->alert_mail), 0, value, e);
	return err_set(e, ERR_USAGE, "there is no policy called \"%s\"; there are throttle-work, throttle-other, work-hours, "
	    "work-days, initial, proxy, alert-command and alert-mail", key);
}

const char *
policy_text(const struct policy *p, const char *key, int secret, char *out, size_t cap)
{
	if (strcmp(key, "throttle-work") == 0)
		rate_text(p->rate_work, out, cap);
	else if (strcmp(key, "throttle-other") == 0)
		rate_text(p->rate_other, out, cap);
	else if (strcmp(key, "work-hours") == 0)
		(void)snprintf(out, cap, "%u:%02u-%u:%02u", p->work_from / 60, p->work_from % 60, p->work_to / 60, p->work_to % 60);
	else if (strcmp(key, "work-days") == 0)
		days_text(p->work_days, out, cap);
	else if (strcmp(key, "initial") == 0)
		(void)snprintf(out, cap, "%s", p->initial_network ? "network" : "disk");
	else if (strncmp(key, "alert-", 6) == 0)
		(void)snprintf(out, cap, "%s", *(key[6] == 'c' ? p->alert_command : p->alert_mail) == 0 ? "none" :
		    key[6] == 'c' ? p->alert_command : p->alert_mail);
	else
		proxy_text(p->proxy, secret, out, cap);
	return out;
}

/* --- the file */

/* Every key that stands there is one that is known, and has a value that may be set. */
static int
policy_decode(struct policy *p, const struct doc *j, struct err *e)
{
	size_t known = 0;

	for (size_t i = 0; policy_key(i) != NULL; i++) {
		const char *value = doc_get_str(j, policy_key(i));

		if (value == NULL)
			continue;
		known++;
		if (policy_set(p, policy_key(i), value, e) != 0) {
			e->code = ERR_FORMAT;
			return -1;
		}
	}
	return known == doc_members(j) ? 0 : err_set(e, ERR_FORMAT, "it has a member that is no policy, or whose value is no text");
}

int
policy_read(int statefd, struct policy *p, struct err *e)
{
	struct doc *j = NULL;
	uint8_t *bytes;
	size_t len;
	int rc;

	policy_init(p);
	if (file_read(statefd, FILE_NAME, FILE_LEN_MAX, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	rc = (j = doc_read(bytes, len, "policy", e)) == NULL ? -1 : policy_decode(p, j, e);
	doc_free(j);
	explicit_bzero(bytes, len);
	free(bytes);
	if (rc != 0) {
		policy_init(p);
		(void)err_during(e, "policy");
		(void)err_next(e, "set it anew: remove the file policy in the state directory, then samara-seed policy set");
	}
	return rc;
}

int
policy_write(int statefd, const struct policy *p, struct err *e)
{
	struct doc *j = doc_object();
	char value[POLICY_PROXY + 16], *text;
	size_t len;
	int rc;

	for (size_t i = 0; policy_key(i) != NULL; i++)
		doc_put_str(j, policy_key(i), policy_text(p, policy_key(i), 1, value, sizeof(value)));
	explicit_bzero(value, sizeof(value));
	if ((rc = doc_write(j, &text, &len, e)) == 0) {
		rc = file_replace(statefd, FILE_NAME, text, len, 0600, e);
		explicit_bzero(text, len);
		free(text);
	}
	doc_free(j);
	return rc != 0 ? err_during(e, "policy") : 0;
}

/* --- what holds now */

int
policy_is_work(const struct policy *p, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	unsigned minute;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	return (p->work_days >> ((tm.tm_wday + 6) % 7) & 1) != 0 && minute >= p->work_from && minute < p->work_to;
}

uint64_t
policy_rate(const struct policy *p, int64_t seconds)
{
	return policy_is_work(p, seconds) ? p->rate_work : p->rate_other;
}

struct policy_watch {
	int statefd;
	int looked;
	struct stat last;	/* of the file; zeros: there was none */
	struct policy policy;
};

struct policy_watch *
policy_watch_new(int statefd)
{
	struct policy_watch *w = calloc(1, sizeof(*w));

	if (w != NULL) {
		w->statefd = statefd;
		policy_init(&w->policy);
	}
	return w;
}

void
policy_watch_free(struct policy_watch *w)
{
	if (w == NULL)
		return;
	explicit_bzero(w, sizeof(*w));
	free(w);
}

/* It is replaced as a whole, so a new one has another inode or another time. */
static int
policy_is_new(struct policy_watch *w)
{
	struct stat st;

	if (io->fstatat(w->statefd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0)
		memset(&st, 0, sizeof(st));
	if (w->looked && st.st_ino == w->last.st_ino && st.st_ctim.tv_sec == w->last.st_ctim.tv_sec &&
	    st.st_ctim.tv_nsec == w->last.st_ctim.tv_nsec)
		return 0;
	w->last = st;
	w->looked = 1;
	return 1;
}

uint64_t
policy_watch_rate(void *watch, int64_t *holds)
{
	struct policy_watch *w = watch;
	struct policy p;
	struct err e;

	err_clear(&e);
	if (policy_is_new(w)) {
		if (policy_read(w->statefd, &p, &e) == 0)
			w->policy = p;
		else
			say_warn("%s; what held before still holds", e.msg);
	}
	*holds = NS;
	return policy_rate(&w->policy, io_now());
}
