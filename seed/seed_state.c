#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/args.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/flow/image_state.h"
#include "common/flow/state.h"
#include "seed/seed_state.h"

const char *
seed_keep_line(const struct image_state *im, char *line, size_t cap)
{
	size_t at = 0;

	line[0] = 0;
	if (!image_counts(im) || im->answer_bytes != NULL)
		return line;
	for (size_t i = 0; i < im->ndisks && at + 24 < cap; i++)
		if (!im->disks[i].gone)
			at += (size_t)snprintf(line + at, cap - at, "%s%s-%u", at == 0 ? "do not erase " : ", ", im->begin.short_name,
			    im->disks[i].label.disk);
	return line;
}

struct state *
seed_state_open(const struct args *a, struct err *e)
{
	struct state *s;
	char *path;

	if (args_state(a, &path, e) != 0)
		return NULL;
	s = state_open(path, e);
	free(path);
	return s;
}

static int
age_order(const void *a, const void *b)
{
	const struct image_state *const *x = a, *const *y = b;

	return ((*x)->begin.begin_ns > (*y)->begin.begin_ns) - ((*x)->begin.begin_ns < (*y)->begin.begin_ns);
}

int
seed_images_load(struct state *s, struct image_state ***images, size_t *n, struct err *e)
{
	char **names;
	size_t count;
	int rc = 0;

	*n = 0;
	*images = NULL;
	if (state_images(s, &names, &count, e) != 0)
		return -1;
	if ((*images = calloc(count + 1, sizeof(**images))) == NULL)
		rc = err_errno(e, "list images");
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct image_state *im = image_state_load(s, names[i], NULL, NULL, e);

		if (im != NULL)
			(*images)[(*n)++] = im;
		else if (e->code == ERR_NOT_FOUND)
			err_clear(e);	/* stopped before its journal was begun */
		else
			rc = -1;
	}
	dir_list_free(names, count);
	if (rc != 0) {
		seed_images_free(*images, *n);
		*images = NULL;
		*n = 0;
		return -1;
	}
	if (*n > 1)
		qsort(*images, *n, sizeof(**images), age_order);
	return 0;
}

void
seed_images_free(struct image_state **images, size_t n)
{
	for (size_t i = 0; images != NULL && i < n; i++)
		image_state_free(images[i]);
	free(images);
}

char *
seed_when(char *buf, int64_t seconds)
{
	time_t then = (time_t)seconds, now = (time_t)io_now();
	struct tm t, today;

	if (localtime_r(&then, &t) != NULL && localtime_r(&now, &today) != NULL && t.tm_year == today.tm_year &&
	    t.tm_yday == today.tm_yday)
		(void)snprintf(buf, SEED_WHEN_MAX, "today %02d:%02d", t.tm_hour, t.tm_min);
	else
		(void)human_date(buf, seconds);
	return buf;
}
