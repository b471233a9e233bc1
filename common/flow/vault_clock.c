/*
 * The two clocks of a vault (docs/operations.md, "Clocks").  The late clock is
 * the highest wall time seen: credentials end by it.  The slow clock counts
 * only time that certainly went by: leases end by it.  Neither moves over a
 * jump of the wall clock, until a person says that the new time is right; that
 * alone may set the late clock back.
 */

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/flow/vault.h"

#define SECOND	INT64_C(1000000000)
#define DAY	(86400 * SECOND)
#define BOOT_LEN 36

struct anchor {
	char boot[BOOT_LEN + 1];
	int64_t wall, up;	/* nanoseconds: wall clock, CLOCK_BOOTTIME */
};

static void
anchor_now(struct anchor *a, int64_t wall)
{
	struct timespec t = { 0, 0 };
	uint8_t *text;
	size_t len;

	memset(a, 0, sizeof(*a));
	a->wall = wall;
	if (io->clock_gettime(CLOCK_BOOTTIME, &t) == 0)
		a->up = (int64_t)t.tv_sec * SECOND + t.tv_nsec;
	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 4096, &text, &len, NULL) == 0) {
		memcpy(a->boot, text, len < BOOT_LEN ? len : BOOT_LEN);
		free(text);
	}
}

static int
anchor_load(struct vault *v, struct anchor *a, struct err *e)
{
	memset(a, 0, sizeof(*a));
	if (catalog_bytes(v->catalog, "clock boot", a->boot, BOOT_LEN, e) < 0 ||
	    catalog_number(v->catalog, "clock up", &a->up, e) < 0)
		return -1;
	return catalog_number(v->catalog, "clock wall", &a->wall, e);
}

static int
anchor_save(struct vault *v, const struct anchor *a, struct err *e)
{
	if (catalog_bytes_set(v->catalog, "clock boot", a->boot, BOOT_LEN, e) != 0 ||
	    catalog_number_set(v->catalog, "clock up", a->up, e) != 0)
		return -1;
	return catalog_number_set(v->catalog, "clock wall", a->wall, e);
}

/* Did the wall clock jump since ${was}? */
static int
is_jump(const struct anchor *was, const struct anchor *is, int64_t late)
{
	int64_t wall = is->wall - was->wall, up = is->up - was->up;

	if (is->wall < late - DAY || wall > 60 * DAY)
		return 1;
	return strcmp(is->boot, was->boot) == 0 && is->boot[0] != '\0' && (wall - up > DAY || up - wall > DAY);
}

/* By how much the slow clock goes on: within one boot by what both clocks show, else by at most a day. */
static int64_t
slow_step(const struct anchor *was, const struct anchor *is)
{
	int64_t step = is->wall - was->wall;

	if (is->boot[0] != '\0' && strcmp(is->boot, was->boot) == 0)
		step = is->up - was->up < step ? is->up - was->up : step;
	else if (step > DAY)
		step = DAY;
	return step > 0 ? step : 0;
}

int
vault_clock_move(struct vault *v, struct err *e)
{
	struct anchor was, is;
	int64_t jumped;
	int first;

	anchor_now(&is, v->now);
	if ((first = anchor_load(v, &was, e)) < 0 || catalog_number(v->catalog, "clock late", &v->late, e) < 0 ||
	    catalog_number(v->catalog, "clock slow", &v->slow, e) < 0 ||
	    catalog_number(v->catalog, "clock jumped", &jumped, e) < 0)
		return -1;
	v->clock_jumped = jumped != 0 || (!first && is_jump(&was, &is, v->late));
	if (v->clock_jumped)
		return jumped != 0 ? 0 : catalog_number_set(v->catalog, "clock jumped", 1, e);
	if (!first)
		v->slow += slow_step(&was, &is);
	if (v->now > v->late)
		v->late = v->now;
	if (catalog_number_set(v->catalog, "clock late", v->late, e) != 0 ||
	    catalog_number_set(v->catalog, "clock slow", v->slow, e) != 0)
		return -1;
	return anchor_save(v, &is, e);
}

int
vault_clock_look(struct vault *v, struct err *e)
{
	int64_t slow;

	if (catalog_number(v->catalog, "clock slow", &slow, e) < 0)
		return -1;
	if (slow > v->slow)
		v->slow = slow;
	return 0;
}

int
vault_clock_confirm(struct vault *v, struct err *e)
{
	struct rec_note note = { { 0 }, "the clock was confirmed" };
	struct anchor now;

	if (vault_begin(v, e) != 0)
		return -1;
	anchor_now(&now, v->now);
	if (anchor_save(v, &now, e) == 0 && catalog_number_set(v->catalog, "clock jumped", 0, e) == 0 &&
	    vault_record(v, REC_CLOCK, &rec_note_schema, &note, e) == 0 && vault_commit(v, e) == 0) {
		v->clock_jumped = 0;
		return 0;
	}
	vault_rollback(v);
	return -1;
}

int64_t
vault_late_seconds(const struct vault *v)
{
	return (v->late > v->now ? v->late : v->now) / SECOND;
}
