/* GET /metrics: Prometheus' text format 0.0.4. */

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/flow/serve_frame.h"
#include "common/flow/vault_alerts.h"

static int alerts_print(struct vault *v, struct buf *b, struct err *e);

const serve_metric_fn serve_metrics[] = {
	alerts_print,
	NULL
};

#define ALERT_KINDS	16u

struct alert_counts {
	char kind[ALERT_KINDS][24];
	unsigned open[ALERT_KINDS], n;
};

static void
alert_count(void *arg, const char *kind, int64_t since)
{
	struct alert_counts *c = arg;
	unsigned i = 0;

	(void)since;
	while (i < c->n && strcmp(c->kind[i], kind) != 0)
		i++;
	if (i == ALERT_KINDS)
		return;
	if (i == c->n)
		(void)snprintf(c->kind[c->n++], sizeof(c->kind[i]), "%s", kind);
	c->open[i]++;
}

/* What needs a hand, as the housekeeping found it last. */
static int
alerts_print(struct vault *v, struct buf *b, struct err *e)
{
	struct alert_counts c = { .n = 0 };

	if (vault_alerts_open(v, alert_count, &c, e) != 0)
		return -1;
	for (unsigned i = 0; i < c.n; i++)
		buf_print(b, "samara_alerts_open{vault=\"%s\",kind=\"%s\"} %u\n", v->desc.name, c.kind[i], c.open[i]);
	return 0;
}

static void
head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_print(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
answers(struct serve *s, struct buf *b)
{
	static const char *const class[] = { "cut", "1xx", "2xx", "3xx", "4xx", "5xx" };

	head(b, "samara_requests_total", "counter", "requests by vault and kind of answer");
	for (size_t i = 0; i < 6; i++)
		buf_print(b, "samara_requests_total{vault=\"\",answer=\"%s\"} %llu\n", class[i],
		    (unsigned long long)atomic_load(&s->other[i]));
	for (size_t k = 0; k < s->nvaults; k++)
		for (size_t i = 0; i < 6; i++)
			buf_print(b, "samara_requests_total{vault=\"%s\",answer=\"%s\"} %llu\n",
			    s->vaults[k].first->desc.name, class[i], (unsigned long long)atomic_load(&s->vaults[k].status[i]));
}

static void
number(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
	head(b, name, type, help);
	buf_print(b, "%s %llu\n", name, (unsigned long long)v);
}

static void
server(struct serve *s, struct buf *b)
{
	struct net_server_numbers n;

	net_server_numbers(s->net, &n);
	number(b, "samara_uptime_seconds", "gauge", "since the server was started", (uint64_t)(io_now() - s->began));
	number(b, "samara_connections", "gauge", "connections that are open", n.open);
	number(b, "samara_connections_total", "counter", "connections so far", n.connections);
	number(b, "samara_refused_total", "counter", "requests refused by their head", n.refused);
	number(b, "samara_received_bytes_total", "counter", "bytes of bodies received", n.bytes_in);
	number(b, "samara_sent_bytes_total", "counter", "bytes of bodies sent", n.bytes_out);
	number(b, "samara_housekeeping_failures_total", "counter", "runs of housekeeping that failed",
	    atomic_load(&s->hook_failures));
}

struct counts {
	uint64_t machines[6], snapshots[6], images[16];
};

static int
machine_count(void *arg, const void *row, struct err *e)
{
	uint32_t state = ((const struct cat_machine *)row)->state;

	(void)e;
	((struct counts *)arg)->machines[state < 6 ? state : 0]++;
	return 0;
}

static int
snapshot_count(void *arg, const void *row, struct err *e)
{
	uint32_t state = ((const struct cat_snapshot *)row)->state;

	(void)e;
	((struct counts *)arg)->snapshots[state < 6 ? state : 0]++;
	return 0;
}

static int
vault_counts(struct vault *v, struct buf *b, struct err *e)
{
	static const char *const machine[] = { "", "live", "replaced", "revoked", "retired", "deleted" };
	static const char *const snapshot[] = { "", "unknown", "whole", "pending", "gap", "partial" };
	struct counts n;
	int rc;

	memset(&n, 0, sizeof(n));
	if (catalog_begin(v->catalog, 0, e) != 0)
		return -1;
	rc = catalog_each(v->catalog, &cat_machines, 0, NULL, machine_count, &n, e) != 0 ||
	    catalog_each(v->catalog, &cat_snapshots, 0, NULL, snapshot_count, &n, e) != 0 ? -1 : 0;
	catalog_rollback(v->catalog);
	for (size_t i = 1; i < 6 && rc == 0; i++) {
		buf_print(b, "samara_machines{vault=\"%s\",state=\"%s\"} %llu\n", v->desc.name, machine[i],
		    (unsigned long long)n.machines[i]);
		buf_print(b, "samara_snapshots{vault=\"%s\",state=\"%s\"} %llu\n", v->desc.name, snapshot[i],
		    (unsigned long long)n.snapshots[i]);
	}
	return rc;
}

static void
vault_print(struct serve_vault *sv, struct buf *b)
{
	struct vault *v;
	struct err e;
	int up = 1;

	err_clear(&e);
	if ((v = pool_take(sv, &e)) == NULL || vault_counts(v, b, &e) != 0)
		up = 0;
	for (size_t i = 0; up && serve_metrics[i] != NULL; i++)
		up = serve_metrics[i](v, b, &e) == 0;
	buf_print(b, "samara_vault_up{vault=\"%s\"} %d\n", sv->first->desc.name, up);
	pool_give(sv, v);
}

void
serve_metrics_print(struct serve *s, struct net_reply *out)
{
	out->status = 200;
	out->type = "text/plain; version=0.0.4";
	server(s, &out->body);
	answers(s, &out->body);
	for (size_t i = 0; i < s->nvaults; i++)
		vault_print(&s->vaults[i], &out->body);
}
