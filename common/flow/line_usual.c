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

struct line_usual *
line_usual_open(struct state *s, struct err *e)
{
	struct line_options o = { .state = s };
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
