#include "seed/seed_line.h"

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/log.h"
#include "common/base/out.h"
#include "common/flow/line_usual.h"

void
seed_line_print(const struct line_told *t)
{
	char size[HUMAN_MAX];

	if (t->pledges > 0)
		out_text("pledged: the vault knows what is on its way (%u image%s, %s of listing sent)\n", t->pledges,
		    t->pledges == 1 ? "" : "s", human_size(size, t->bytes));
	if (t->fates > 0 || t->parcels > 0)
		out_text("the vault was told\n");
	if (t->given_up > 0)
		out_text("the vault was told what cannot be given any more\n");
}

static int
tell(struct state *s, struct line_told *t, struct err *e)
{
	struct domain_keys *k = state_keys(s, e);
	struct line_usual *u = k != NULL ? line_usual_open(s, e) : NULL;
	int rc = u != NULL ? line_tell(line_usual_line(u), s, k, t, e) : -1;

	line_usual_close(u);
	domain_keys_free(k);
	return rc;
}

int
seed_line_tell(struct state *s, const char *what)
{
	struct line_told t = { .pledges = 0 };
	struct err mine;

	if (!line_usual_is_there(s))
		return 0;
	err_clear(&mine);
	if (tell(s, &t, &mine) == 0) {
		seed_line_print(&t);
		return t.failed == 0;
	}
	say_warn("the vault does not know yet %s: %s.  The next backup, or samara-seed refill, tells it", what, mine.msg);
	return 0;
}
