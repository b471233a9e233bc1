#ifndef SAMARA_FLOW_PLAN_ROUTE_H
#define SAMARA_FLOW_PLAN_ROUTE_H

/* From what a source takes to disks, days and a recommendation: arithmetic alone. */

#include <stdbool.h>
#include <stdint.h>

#include "common/flow/plan.h"

#define PLAN_PARITY	5	/* hundredths */

/* What is assumed where nothing is measured, bytes a second. */
#define PLAN_DISK_SLOW	UINT64_C(120000000)	/* a disk over USB, whole, inside tracks too */
#define PLAN_DISK_FAST	UINT64_C(220000000)
#define PLAN_TRANSIT	3			/* days of parcel */

/* Nanoseconds. */
struct plan_time {
	double low, high;
};

struct plan_days {
	struct plan_time build;		/* reading, writing, reading back */
	double parcel;
	struct plan_time ingest;
	struct plan_time all;
};

/* Bytes with parity. */
struct plan_range plan_with_parity(const struct plan_range *stored);

/* Disks of ${size} bytes for ${with_parity}: fewest and most, at least 1. */
struct plan_range plan_disks(const struct plan_range *with_parity, uint64_t size);

/* By disk: ${transit} days of parcel. */
struct plan_days plan_by_disk(const struct plan_result *r, unsigned transit);

/* ${bytes} over a line of ${rate} bytes a second, all day. */
struct plan_time plan_by_line(const struct plan_range *bytes, uint64_t rate);

/* What a day's changes come to: in the source, and to send. */
uint64_t plan_daily(const struct plan_result *r);
struct plan_range plan_daily_sent(const struct plan_result *r);

/* Days after which changes of ${sent} bytes a day fill a disk of ${size}; UINT32_MAX if never in a life. */
uint32_t plan_disk_every(const struct plan_range *sent, uint64_t size);

/* The line (bytes a second) above which it is quicker than disks. */
uint64_t plan_break_even(const struct plan_result *r, const struct plan_days *d);

#endif
