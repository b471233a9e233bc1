#include "common/flow/line_usual.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/flow/policy.h"
#include "common/net/throttle.h"

struct line_usual {
	struct line *l;
	struct policy_watch *watch;
	struct throttle *throttle;
};

int
line_usual_is_there(const struct state *s)
{
	struct stat st;

	/* The newest description may have one where the credential had none. */
	return s->trust.url[0] != '\0' || io->fstatat(s->fd, "vault.dsc", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct line_usual *
usual_open(struct state *s, unsigned seconds, struct err *e)
{
	struct line_options o = { .state = s, .seconds = seconds };
	struct line_usual *u = calloc(1, sizeof(*u));
	struct policy p;
	int ok = 0;

	if (u == NULL) {
		(void)err_errno(e, "line");
		return NULL;
	}
	if (policy_read(s->fd, &p, e) == 0) {
		if (p.proxy[0] != '\0')
			o.proxy = strcmp(p.proxy, "none") == 0 ? "" : p.proxy;
		if ((u->watch = policy_watch_new(s->fd)) == NULL || (u->throttle = throttle_new(policy_watch_rate, u->watch)) == NULL)
			(void)err_set(e, ERR_MEMORY, "line");
		else {
			o.throttle = u->throttle;
			ok = (u->l = line_open(&o, e)) != NULL;
		}
	}
	secret_wipe(&p, sizeof(p));
	if (!ok) {
		line_usual_close(u);
		return NULL;
	}
	return u;
}

struct line_usual *
line_usual_open(struct state *s, struct err *e)
{
	return usual_open(s, 0, e);
}

struct line_usual *
line_usual_glance(struct state *s, struct err *e)
{
	return usual_open(s, LINE_GLANCE, e);
}

void
line_usual_silent(int64_t since, struct err *e)
{
	if (e->code == ERR_LINE && io_mono_ns() - since >= (int64_t)LINE_GLANCE * 1000000000)
		(void)err_set(e, ERR_LINE, "no answer within %u s", LINE_GLANCE);
}

void
line_usual_close(struct line_usual *u)
{
	if (u == NULL)
		return;
	line_close(u->l);
	throttle_free(u->throttle);
	policy_watch_free(u->watch);
	free(u);
}

struct line *
line_usual_line(struct line_usual *u)
{
	return u->l;
}
