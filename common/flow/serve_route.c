/* From a method and a path to the function that answers. */

#include <string.h>

#include "common/flow/serve_frame.h"

static const struct serve_route *const tables[] = {
	serve_routes_machine, serve_routes_session, serve_routes_pledge, serve_routes_read
};

#define NTABLES	(sizeof(tables) / sizeof(tables[0]))

/* Does ${path} (zeros where its slashes were, ${n} bytes) follow the pattern?  The parts for its stars. */
static int
matches(const char *pattern, const char *path, size_t n, struct serve_plan *p)
{
	const char *end = path + n, *at = path;

	p->nparts = 0;
	while (*pattern != '\0') {
		size_t len = strcspn(pattern, "/");

		if (at >= end)
			return 0;
		if (len == 1 && *pattern == '*') {
			if (p->nparts == SERVE_PARTS || *at == '\0')
				return 0;
			p->part[p->nparts++] = at;
		} else if (strlen(at) != len || memcmp(pattern, at, len) != 0) {
			return 0;
		}
		at += strlen(at) + 1;
		pattern += len;
		pattern += *pattern == '/';
	}
	return at == end + 1;
}

int
route_find(struct serve_plan *p, const char *method, char *rest, unsigned *status)
{
	size_t n = strlen(rest);

	*status = 404;
	p->route = NULL;
	p->body_max = 0;
	for (char *c = rest; *c != '\0'; c++)
		if (*c == '/')
			*c = '\0';
	for (size_t t = 0; t < NTABLES; t++)
		for (const struct serve_route *r = tables[t]; r->method != NULL; r++) {
			if (!matches(r->path, rest, n, p))
				continue;
			*status = 405;
			if (strcmp(r->method, method) != 0)
				continue;
			if (p->route == NULL)
				p->route = r;
			if (r->body_max > p->body_max)
				p->body_max = r->body_max;
		}
	return p->route != NULL && matches(p->route->path, rest, n, p) ? 0 : -1;
}

const struct serve_route *
route_statement(const uint8_t *magic)
{
	for (size_t t = 0; t < NTABLES; t++)
		for (const struct serve_route *r = tables[t]; r->method != NULL; r++)
			if (r->magic != NULL && memcmp(r->magic, magic, 8) == 0)
				return r;
	return NULL;
}
