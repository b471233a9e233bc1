#include "common/flow/plan_route.h"

#define SECOND		1e9
#define DAY		86400e9
#define USABLE		0.985	/* of a disk, under a file system made for large files */
#define SOURCE_FAST	UINT64_C(500000000)
#define SOURCE_SLOW	UINT64_C(100000000)

struct plan_range
plan_with_parity(const struct plan_range *stored)
{
	return (struct plan_range){ stored->low + stored->low / 100 * PLAN_PARITY,
	    stored->high + stored->high / 100 * PLAN_PARITY };
}

static uint64_t
disks_for(uint64_t bytes, double usable)
{
	double n = (double)bytes / usable;
	uint64_t whole = (uint64_t)n;

	whole += (double)whole < n;
	return whole == 0 ? 1 : whole;
}

struct plan_range
plan_disks(const struct plan_range *with_parity, uint64_t size)
{
	double usable = (double)(size == 0 ? 1 : size) * USABLE;

	return (struct plan_range){ disks_for(with_parity->low, usable), disks_for(with_parity->high, usable) };
}

static double
time_at(uint64_t bytes, uint64_t rate)
{
	return (double)bytes / (double)(rate == 0 ? 1 : rate) * SECOND;
}

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

/*
 * A build reads the source and writes the disk at once, then reads the disk
 * back.  How fast the source gives was seen, but from a sample, with seeks or
 * out of a cache: it only moves the slow end within reason.
 */
struct plan_days
plan_by_disk(const struct plan_result *r, unsigned transit)
{
	struct plan_range p = plan_with_parity(&r->stored);
	double seen = r->read_ns > 0 ? (double)r->read_bytes / ((double)r->read_ns / SECOND) : 0;
	uint64_t slow = seen > (double)PLAN_DISK_FAST ? PLAN_DISK_FAST : seen < (double)SOURCE_SLOW ? SOURCE_SLOW : (uint64_t)seen;
	struct plan_days d = { .parcel = transit * DAY };

	d.build.low = larger(time_at(r->bytes, SOURCE_FAST), time_at(p.low, PLAN_DISK_FAST)) + time_at(p.low, PLAN_DISK_FAST);
	d.build.high = larger(time_at(r->bytes, slow), time_at(p.high, PLAN_DISK_SLOW)) + time_at(p.high, PLAN_DISK_SLOW);
	d.ingest.low = time_at(p.low, PLAN_DISK_FAST);
	d.ingest.high = time_at(p.high, PLAN_DISK_SLOW);
	d.all.low = d.build.low + d.parcel + d.ingest.low;
	d.all.high = d.build.high + d.parcel + d.ingest.high;
	return d;
}

struct plan_time
plan_by_line(const struct plan_range *bytes, uint64_t rate)
{
	return (struct plan_time){ time_at(bytes->low, rate), time_at(bytes->high, rate) };
}

uint64_t
plan_daily(const struct plan_result *r)
{
	return r->changed[r->window] / plan_window_days[r->window];
}

struct plan_range
plan_daily_sent(const struct plan_result *r)
{
	double day = (double)plan_daily(r), all = (double)(r->bytes == 0 ? 1 : r->bytes);

	return (struct plan_range){ (uint64_t)(day * (double)r->stored.low / all), (uint64_t)(day * (double)r->stored.high / all) };
}

uint32_t
plan_disk_every(const struct plan_range *sent, uint64_t size)
{
	double days = sent->high == 0 ? 1e9 : (double)size * USABLE / ((double)sent->high * (100 + PLAN_PARITY) / 100);

	return days > 1e8 ? UINT32_MAX : (uint32_t)days;
}

uint64_t
plan_break_even(const struct plan_result *r, const struct plan_days *d)
{
	return (uint64_t)((double)r->stored.high / (d->all.low / SECOND));
}
