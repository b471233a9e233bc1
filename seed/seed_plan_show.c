/* The words of a plan. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/human.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "seed/seed_plan.h"

#define DAY_NS		86400e9
#define HOUR_NS		3600e9
#define RANGE_MAX	(2 * HUMAN_MAX + 8)
#define HOURS_A_DAY	24.0
#define LINE_MAX	(8 * HUMAN_MAX)
#define COMMAND_MAX	4096

static const char *const window_text[PLAN_WINDOWS] = { "day", "7 days", "30 days" };
static const uint64_t usual_disks[] = { 8000000000000, 16000000000000, 24000000000000 };
static const uint64_t usual_lines[] = { 10000000 / 8, 100000000 / 8, 1000000000 / 8 };

/*
 * "29 – 33 TB": two digits where they tell the ends apart, else three; rounded
 * away from each other, so that it is never one number.
 */
static char *
range_text(char buf[RANGE_MAX], double low, double high, const char *unit)
{
	int decimals = high < 10 ? 1 : 0;
	double step = high < 10 ? 0.1 : 1;
	uint64_t l = 0, h = 0;

	for (int digits = 2; digits <= 3; digits++) {
		l = (uint64_t)(low / step);
		h = (uint64_t)(high / step);
		h += (double)h * step < high;
		if (h > l || digits == 3)
			break;
		step /= 10;
		decimals++;
	}
	if (h == l)
		h++;
	(void)snprintf(buf, RANGE_MAX, "%.*f – %.*f %s", decimals, (double)l * step, decimals, (double)h * step, unit);
	return buf;
}

static char *
range_size(char buf[RANGE_MAX], const struct plan_range *r)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double low = (double)r->low, high = (double)r->high;
	size_t u = 0;

	for (; high >= 1000 && u + 1 < sizeof(units) / sizeof(units[0]); u++) {
		low /= 1000;
		high /= 1000;
	}
	return range_text(buf, low, high, units[u]);
}

static char *
range_time(char buf[RANGE_MAX], double low_ns, double high_ns)
{
	static const struct {
		double most, unit;
		const char *name;
	} units[] = { { 2 * HOUR_NS, HOUR_NS / 60, "min" }, { 2 * DAY_NS, HOUR_NS, "h" }, { 800 * DAY_NS, DAY_NS, "days" },
	    { 1e300, 365.25 * DAY_NS, "years" } };
	size_t u = 0;

	if (high_ns < HOUR_NS / 60) {
		(void)snprintf(buf, RANGE_MAX, "under a minute");
		return buf;
	}
	while (high_ns > units[u].most)
		u++;
	return range_text(buf, low_ns / units[u].unit, high_ns / units[u].unit, units[u].name);
}

/* "20 Mbit/s", "1,000 Mbit/s", "512 Kbit/s" */
static char *
bits(char buf[HUMAN_MAX], uint64_t bytes)
{
	char count[HUMAN_MAX];
	uint64_t rate = bytes * 8;

	if (rate < 1000000)
		(void)snprintf(buf, HUMAN_MAX, "%" PRIu64 " Kbit/s", (rate + 999) / 1000);
	else if (rate < 10000000 && rate % 1000000 != 0)
		(void)snprintf(buf, HUMAN_MAX, "%.1f Mbit/s", (double)rate / 1e6);
	else
		(void)snprintf(buf, HUMAN_MAX, "%s Mbit/s", human_count(count, rate / 1000000));
	return buf;
}

/* "18 TB", as it stands on the disk's label. */
static char *
disk_size(char buf[HUMAN_MAX], uint64_t bytes)
{
	char *zero;

	(void)human_size(buf, bytes);
	if ((zero = strstr(buf, ".0 ")) != NULL)
		memmove(zero, zero + 2, strlen(zero + 2) + 1);
	return buf;
}

/* "11.2 M files" */
static char *
files(char buf[HUMAN_MAX], uint64_t n)
{
	char count[HUMAN_MAX];

	if (n < 1000000)
		(void)snprintf(buf, HUMAN_MAX, "%s file%s", human_count(count, n), n == 1 ? "" : "s");
	else
		(void)snprintf(buf, HUMAN_MAX, "%.1f M files", (double)n / 1e6);
	return buf;
}

static void
put_range(struct out *o, const char *low, const char *high, const struct plan_range *r)
{
	out_u64(o, low, r->low);
	out_u64(o, high, r->high);
}

static void
show_source(const struct plan_result *r)
{
	char size[HUMAN_MAX], count[HUMAN_MAX], part[HUMAN_MAX], took[HUMAN_MAX];
	struct out *o = out_object("source");

	out_text("source      %s in %s (all names, %s of the data read, %s)\n", human_size(size, r->bytes), files(count, r->files),
	    r->whole ? "all" : human_percent(part, r->read_bytes, r->bytes), human_duration(took, r->all_ns));
	if (r->errors > 0 || r->unreadable > 0)
		out_text("            %s names could not be looked at, %s files not read: they are not in the figures\n",
		    human_count(part, r->errors), human_count(took, r->unreadable));
	out_u64(o, "bytes", r->bytes);
	out_u64(o, "files", r->files);
	out_u64(o, "entries", r->entries);
	out_u64(o, "read_bytes", r->read_bytes);
	out_bool(o, "whole", r->whole);
	out_u64(o, "not_looked_at", r->errors);
	out_u64(o, "unreadable", r->unreadable);
	out_i64(o, "ns", r->all_ns);
	out_emit(o);
}

static void
show_disks(const struct plan_result *r, const struct plan_wish *w)
{
	const uint64_t *sizes = w->ndisks > 0 ? w->disks : usual_disks;
	size_t n = w->ndisks > 0 ? w->ndisks : sizeof(usual_disks) / sizeof(usual_disks[0]);
	struct plan_range p = plan_with_parity(&r->stored), d;
	char range[RANGE_MAX], all[LINE_MAX] = "", size[HUMAN_MAX], count[HUMAN_MAX];
	struct out *o = out_object("stored");

	put_range(o, "low", "high", &r->stored);
	put_range(o, "with_parity_low", "with_parity_high", &p);
	out_u64(o, "chunk_size", r->chunk);
	out_emit(o);
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(all);

		d = plan_disks(&p, sizes[i]);
		(void)disk_size(size, sizes[i]);
		if (d.low == d.high)
			(void)snprintf(count, sizeof(count), "%" PRIu64, d.low);
		else
			(void)snprintf(count, sizeof(count), "%" PRIu64 " – %" PRIu64, d.low, d.high);
		(void)snprintf(all + at, sizeof(all) - at, "%s%s × %s", i == 0 ? "" : ", or ", count, size);
		o = out_object("disks");
		out_u64(o, "size", sizes[i]);
		put_range(o, "low", "high", &d);
		out_emit(o);
	}
	out_text("on disk     %s after dedup and compression, + %d %% parity     %s\n", range_size(range, &r->stored), PLAN_PARITY, all);
}

static void
show_times(const struct plan_result *r, const struct plan_wish *w, const struct plan_days *d)
{
	const uint64_t *lines = w->line > 0 ? &w->line : usual_lines;
	size_t n = w->line > 0 ? 1 : sizeof(usual_lines) / sizeof(usual_lines[0]);
	char build[RANGE_MAX], ingest[RANGE_MAX], all[RANGE_MAX], rate[HUMAN_MAX];
	struct out *o = out_object("by_disk");
	struct plan_time t;

	out_text("by disk     %s building and reading back, %u days parcel, %s ingest       %s\n",
	    range_time(build, d->build.low, d->build.high), w->transit, range_time(ingest, d->ingest.low, d->ingest.high),
	    range_time(all, d->all.low, d->all.high));
	out_real(o, "build_days_low", d->build.low / DAY_NS);
	out_real(o, "build_days_high", d->build.high / DAY_NS);
	out_u64(o, "parcel_days", w->transit);
	out_real(o, "ingest_days_low", d->ingest.low / DAY_NS);
	out_real(o, "ingest_days_high", d->ingest.high / DAY_NS);
	out_real(o, "days_low", d->all.low / DAY_NS);
	out_real(o, "days_high", d->all.high / DAY_NS);
	out_emit(o);
	for (size_t i = 0; i < n; i++) {
		t = plan_by_line(&r->stored, lines[i]);
		out_text("%-11s %s at %s, all day, nothing else on it\n", i == 0 ? "by line" : "",
		    range_time(all, t.low, t.high), bits(rate, lines[i]));
		o = out_object("by_line");
		out_u64(o, "bytes_a_second", lines[i]);
		out_real(o, "days_low", t.low / DAY_NS);
		out_real(o, "days_high", t.high / DAY_NS);
		out_emit(o);
	}
}

/* --- what changes --- */

static void
windows_text(char buf[LINE_MAX], const struct plan_result *r)
{
	char size[HUMAN_MAX];
	size_t at = 0;

	for (unsigned i = 0; i < PLAN_WINDOWS; i++)
		at += (size_t)snprintf(buf + at, LINE_MAX - at, "%s%s %s", i == 0 ? "" : ", ", window_text[i],
		    human_size(size, r->changed[i]));
}

static void
show_top(const struct plan_result *r, int say)
{
	char path[2048], size[HUMAN_MAX];
	struct out *o;

	for (size_t i = 0; i < r->ntop; i++) {
		if (say)
			out_text("            %8s a day  %s\n", human_size(size, r->top[i].bytes / plan_window_days[r->window]),
			    text_safe(path, sizeof(path), r->top[i].path, strlen(r->top[i].path)));
		o = out_object("changes_most");
		out_name(o, "path", r->top[i].path, strlen(r->top[i].path));
		out_u64(o, "bytes", r->top[i].bytes);
		out_u64(o, "days", plan_window_days[r->window]);
		out_emit(o);
	}
}

/* "a disk every 3 weeks" of the largest disk there is. */
static char *
disk_every(char buf[LINE_MAX], const struct plan_range *sent, const struct plan_wish *w)
{
	uint64_t size = w->ndisks > 0 ? w->disks[0] : usual_disks[0];
	char text[HUMAN_MAX];
	uint32_t days;

	for (size_t i = 1; i < w->ndisks; i++)
		size = w->disks[i] > size ? w->disks[i] : size;
	days = plan_disk_every(sent, size);
	(void)disk_size(text, size);
	if (days >= 14)
		(void)snprintf(buf, LINE_MAX, "a disk of %s every %u weeks", text, days / 7);
	else if (days >= 2)
		(void)snprintf(buf, LINE_MAX, "a disk of %s every %u days", text, days);
	else
		(void)snprintf(buf, LINE_MAX, "a disk of %s a day or more", text);
	return buf;
}

/* Return 1 if the changes fit every line that was shown. */
static int
show_changes(const struct plan_result *r, const struct plan_wish *w)
{
	const uint64_t *lines = w->line > 0 ? &w->line : usual_lines;
	size_t n = w->line > 0 ? 1 : sizeof(usual_lines) / sizeof(usual_lines[0]);
	struct plan_range sent = plan_daily_sent(r);
	char day[HUMAN_MAX], range[RANGE_MAX], hours[RANGE_MAX], rate[HUMAN_MAX], windows[LINE_MAX], every[LINE_MAX];
	struct out *o = out_object("changes");
	int all_fit = 1;

	out_u64(o, "changed_1_day", r->changed[0]);
	out_u64(o, "changed_7_days", r->changed[1]);
	out_u64(o, "changed_30_days", r->changed[2]);
	out_u64(o, "a_day", plan_daily(r));
	out_u64(o, "window_days", plan_window_days[r->window]);
	put_range(o, "to_send_low", "to_send_high", &sent);
	out_emit(o);
	windows_text(windows, r);
	if (plan_daily(r) == 0) {
		out_text("changes     none in the last 30 days  →  increments send next to nothing\n");
		return 1;
	}
	out_text("changes     %s a day (last %s), %s to send", human_size(day, plan_daily(r)), window_text[r->window],
	    range_size(range, &sent));
	for (size_t i = 0; i < n; i++) {
		struct plan_time t = plan_by_line(&sent, lines[i]);
		int fits = t.high <= HOURS_A_DAY * HOUR_NS;

		all_fit &= fits;
		o = out_object("increments");
		out_u64(o, "bytes_a_second", lines[i]);
		out_real(o, "hours_a_day_low", t.low / HOUR_NS);
		out_real(o, "hours_a_day_high", t.high / HOUR_NS);
		out_bool(o, "fit", fits);
		out_emit(o);
		(void)range_time(hours, t.low, t.high);
		if (w->line > 0)
			out_text("  →  %s of line a day: %s\n", hours, fits ? "fits" : "does not fit");
		else
			out_text("%s%12s%s at %s: %s\n", i == 0 ? "\n" : "", "", hours, bits(rate, lines[i]), fits ? "fits" : "does not fit");
	}
	out_text("            in files changed in the last %s\n", windows);
	if (!all_fit)
		out_text("            %sincrements do not fit: %s, or exclude what changes most:\n", w->line > 0 ? "" : "on a line that is too thin ",
		    disk_every(every, &sent, w));
	show_top(r, !all_fit);
	return all_fit;
}

/* --- the end --- */

/* A path as a shell takes it. */
static size_t
quoted(char *buf, size_t at, size_t n, const char *path)
{
	char safe[1024];

	(void)text_safe(safe, sizeof(safe), path, strlen(path));
	if (strspn(safe, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=@%,:") == strlen(safe))
		return at + (size_t)snprintf(buf + at, n - at, " %s", safe);
	return at + (size_t)snprintf(buf + at, n - at, " \"%s\"", safe);
}

static void
next_command(char buf[COMMAND_MAX], const struct plan_result *r, const struct plan_wish *w)
{
	size_t at = 0;

	if (!w->registered) {
		(void)snprintf(buf, COMMAND_MAX, "samara-seed register CREDENTIAL --offline%s", r->chunk > (256u << 10) ? " --chunk-size 1Mi" : "");
		return;
	}
	at += (size_t)snprintf(buf, COMMAND_MAX, "samara-seed build --to /mnt/usb1");
	if (w->state != NULL && at < COMMAND_MAX / 2) {
		at += (size_t)snprintf(buf + at, COMMAND_MAX - at, " --state");
		at = quoted(buf, at, COMMAND_MAX, w->state);
	}
	for (size_t i = 0; i < w->npaths && at < COMMAND_MAX - 1100; i++)
		at = quoted(buf, at, COMMAND_MAX, w->paths[i]);
}

/* One, whatever the ranges. */
static void
recommend(char buf[LINE_MAX], const struct plan_result *r, const struct plan_wish *w, const struct plan_days *d, int *line)
{
	struct plan_time t = plan_by_line(&r->stored, w->line > 0 ? w->line : usual_lines[1]);
	char rate[HUMAN_MAX], took[RANGE_MAX];

	*line = w->line > 0 && t.high <= d->all.low;
	if (*line)
		(void)snprintf(buf, LINE_MAX, "The line is quicker: %s for everything. A disk is worth it only where the line is needed for other things.",
		    range_time(took, t.low, t.high));
	else if (w->line > 0 || r->bytes == 0)
		(void)snprintf(buf, LINE_MAX, "Send disks.");
	else
		(void)snprintf(buf, LINE_MAX, "Send disks, unless your line carries %s or more all day.", bits(rate, plan_break_even(r, d)));
}

void
plan_show(const struct plan_result *r, const struct plan_wish *w)
{
	struct plan_days d = plan_by_disk(r, w->transit);
	char words[LINE_MAX], next[COMMAND_MAX];
	struct out *o;
	int fit, line;

	show_source(r);
	show_disks(r, w);
	show_times(r, w, &d);
	fit = show_changes(r, w);
	if (r->chunk > (256u << 10))
		out_text("            more than 20 TB: chunks of 1 MiB (register --chunk-size 1Mi)\n");
	recommend(words, r, w, &d, &line);
	next_command(next, r, w);
	out_text("%s Next: %s\n", words, next);
	o = out_object("summary");
	out_str(o, "recommendation", line ? "line" : "disks");
	out_str(o, "words", words);
	out_str(o, "next", next);
	out_bool(o, "increments_fit", fit);
	out_bool(o, "registered", w->registered);
	out_emit(o);
}
