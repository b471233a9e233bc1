/* When a set is backed up by itself. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/text.h"
#include "common/flow/policy.h"
#include "common/flow/schedule.h"
#include "common/flow/state.h"

#define FILE_LEN_MAX	(64u << 10)
#define PATHS_MAX	256u
#define PATH_MAX_LEN	512	/* of a file below the state */
#define DAY		INT64_C(86400)

void
schedule_release(struct schedule *s)
{
	for (size_t i = 0; i < s->npaths; i++)
		free(s->paths[i]);
	free(s->paths);
	s->paths = NULL;
	s->npaths = 0;
}

int
schedule_time(struct schedule *s, const char *value, struct err *e)
{
	unsigned h, m, at;
	char end;

	if (sscanf(value, "%2u:%2u%c", &h, &m, &end) != 2 || h > 23 || m > 59)
		return err_set(e, ERR_USAGE, "\"%s\" is not a time of day; write it like 13:00", value);
	if (s->ntimes == SCHEDULE_TIMES)
		return err_set(e, ERR_USAGE, "a set is backed up at most three times a day");
	for (at = 0; at < s->ntimes && s->times[at] < h * 60 + m; at++)
		;
	if (at < s->ntimes && s->times[at] == h * 60 + m)
		return err_set(e, ERR_USAGE, "the time %s is given twice", value);
	memmove(s->times + at + 1, s->times + at, (s->ntimes - at) * sizeof(s->times[0]));
	s->times[at] = h * 60 + m;
	s->ntimes++;
	return 0;
}

int
schedule_path(struct schedule *s, const char *path, struct err *e)
{
	char **more, *copy;

	if (path[0] != '/' || !text_is_printable(path, strlen(path)))
		return err_set(e, ERR_USAGE, "a scheduled path is absolute and printable; this one is not");
	if (s->npaths == PATHS_MAX)
		return err_set(e, ERR_USAGE, "a schedule has at most %u paths", PATHS_MAX);
	if ((more = realloc(s->paths, (s->npaths + 1) * sizeof(*more))) == NULL)
		return err_errno(e, "schedule");
	s->paths = more;
	if ((copy = strdup(path)) == NULL)
		return err_errno(e, "schedule");
	s->paths[s->npaths++] = copy;
	return 0;
}

/* --- the state's files */

static void
name_of(char out[PATH_MAX_LEN], const char *set, const char *file)
{
	(void)snprintf(out, PATH_MAX_LEN, "sets/%s/%s", set, file);
}

static int
schedule_decode(const struct doc *j, struct schedule *s, struct err *e)
{
	struct policy days;
	const char *text = doc_get_str(j, "days");

	policy_init(&days);
	if (text == NULL || policy_set(&days, "work-days", text, e) != 0 || doc_get_i64(j, "made", &s->made) != 0)
		goto bad;
	s->days = days.work_days;
	for (size_t i = 0; i < doc_list_length(j, "times"); i++)
		if ((text = doc_list_str(j, "times", i)) == NULL || schedule_time(s, text, e) != 0)
			goto bad;
	for (size_t i = 0; i < doc_list_length(j, "paths"); i++)
		if ((text = doc_list_str(j, "paths", i)) == NULL || schedule_path(s, text, e) != 0)
			goto bad;
	if (s->ntimes > 0)
		return 0;
bad:
	return err_set(e, ERR_FORMAT, "it does not say when, or what");
}

int
schedule_read(struct state *st, const char *set, struct schedule *s, struct err *e)
{
	char name[PATH_MAX_LEN];
	struct doc *j;
	uint8_t *bytes;
	size_t len;
	int rc;

	memset(s, 0, sizeof(*s));
	(void)snprintf(s->set, sizeof(s->set), "%s", set);
	name_of(name, set, "schedule");
	if (file_read(st->fd, name, FILE_LEN_MAX, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return err_during(e, "schedule of set %s", set);
		err_clear(e);
		return 1;
	}
	rc = (j = doc_read(bytes, len, "schedule", e)) == NULL ? -1 : schedule_decode(j, s, e);
	doc_free(j);
	free(bytes);
	return rc == 0 ? 0 : err_during(e, "schedule of set %s", set);
}

int
schedule_write(struct state *st, const struct schedule *s, struct err *e)
{
	struct doc *j = doc_object(), *times = doc_list(), *paths = doc_list();
	char name[PATH_MAX_LEN], text[64];
	struct policy days;
	char *line;
	size_t len;
	int rc;

	policy_init(&days);
	days.work_days = s->days;
	doc_put_str(j, "days", policy_text(&days, "work-days", 0, text, sizeof(text)));
	for (unsigned i = 0; i < s->ntimes; i++) {
		(void)snprintf(text, sizeof(text), "%02u:%02u", s->times[i] / 60, s->times[i] % 60);
		doc_put_str(times, NULL, text);
	}
	for (size_t i = 0; i < s->npaths; i++)
		doc_put_str(paths, NULL, s->paths[i]);
	doc_put_value(j, "times", times);
	doc_put_value(j, "paths", paths);
	doc_put_i64(j, "made", s->made);
	name_of(name, s->set, "");
	if ((rc = doc_write(j, &line, &len, e)) == 0) {
		rc = dir_make(st->fd, name, 0700, e);
		name_of(name, s->set, "schedule");
		if (rc == 0)
			rc = file_replace(st->fd, name, line, len, 0600, e);
		free(line);
	}
	doc_free(j);
	return rc == 0 ? 0 : err_during(e, "schedule of set %s", s->set);
}

int
schedule_drop(struct state *st, const char *set, struct err *e)
{
	char name[PATH_MAX_LEN];

	name_of(name, set, "schedule");
	if (io->unlinkat(st->fd, name, 0) != 0)
		return err_errno(e, "schedule of set %s", set);
	name_of(name, set, "");
	return dir_sync(st->fd, name, e);
}

int
schedule_ran(struct state *st, const char *set, int64_t *seconds, struct err *e)
{
	char name[PATH_MAX_LEN];
	uint8_t *bytes;
	size_t len;

	*seconds = 0;
	name_of(name, set, "ran");
	if (file_read(st->fd, name, 32, &bytes, &len, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	*seconds = strtoll((const char *)bytes, NULL, 10);
	free(bytes);
	return 0;
}

int
schedule_ran_set(struct state *st, const char *set, int64_t seconds, struct err *e)
{
	char name[PATH_MAX_LEN], text[32];
	int n = snprintf(text, sizeof(text), "%" PRId64 "\n", seconds);

	name_of(name, set, "ran");
	return file_replace(st->fd, name, text, (size_t)n, 0600, e);
}

/* --- when */

/* Midnight of the day of ${t}, ${days} later, and ${minute} minutes after it, as the wall clock shows them. */
static int64_t
local_at(int64_t t, int days, unsigned minute)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (localtime_r(&at, &tm) == NULL)
		return 0;
	tm.tm_mday += days;
	tm.tm_hour = (int)(minute / 60);
	tm.tm_min = (int)(minute % 60);
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm);
}

static int
day_is_one(const struct schedule *s, int64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	return localtime_r(&at, &tm) != NULL && (s->days >> ((tm.tm_wday + 6) % 7) & 1) != 0;
}

int64_t
schedule_last(const struct schedule *s, int64_t now)
{
	for (int day = 0; day >= -7; day--)
		for (unsigned i = s->ntimes; i-- > 0;) {
			int64_t t = local_at(now, day, s->times[i]);

			if (t <= now && day_is_one(s, t))
				return t >= s->made || s->made > now ? t : 0;
		}
	return 0;
}

int64_t
schedule_due(const struct schedule *s, int64_t ran, int64_t now)
{
	int64_t t = schedule_last(s, now);

	return t > ran || ran > now ? t : 0;
}

int64_t
schedule_next(const struct schedule *s, int64_t now)
{
	for (int day = 0; day <= 7; day++)
		for (unsigned i = 0; i < s->ntimes; i++) {
			int64_t t = local_at(now, day, s->times[i]);

			if (t > now && day_is_one(s, t))
				return t;
		}
	return 0;
}

/* --- what wakes it */

/* A word of systemd's command lines: in quotes, with what it would expand taken literally. */
static void
word_systemd(struct buf *out, const char *word)
{
	buf_u8(out, '"');
	for (; *word != 0; word++) {
		if (*word == '"' || *word == '\\')
			buf_u8(out, '\\');
		if (*word == '%' || *word == '$')
			buf_u8(out, (uint8_t)*word);
		buf_u8(out, (uint8_t)*word);
	}
	buf_u8(out, '"');
}

/* A word of a crontab's command: for the shell, and with cron's own % escaped. */
static void
word_cron(struct buf *out, const char *word)
{
	buf_u8(out, '\'');
	for (; *word != 0; word++) {
		if (*word == '\'')
			buf_str(out, "'\\'");
		if (*word == '%')
			buf_u8(out, '\\');
		buf_u8(out, (uint8_t)*word);
	}
	buf_u8(out, '\'');
}

static void
command_put(const struct schedule *s, const struct schedule_unit *u, void (*word)(struct buf *, const char *), struct buf *out)
{
	word(out, u->program);
	buf_str(out, " schedule run --no-progress --set ");
	word(out, s->set);
	buf_str(out, " --state ");
	word(out, u->state);
}

void
schedule_service(const struct schedule *s, const struct schedule_unit *u, struct buf *out)
{
	buf_print(out, "%s\n[Unit]\nDescription=samara: back up the set %s over the line\nDocumentation=man:samara-seed(1)\n"
	    "Wants=network-online.target\nAfter=network-online.target\n\n[Service]\nType=oneshot\nExecStart=", SCHEDULE_MARK, s->set);
	command_put(s, u, word_systemd, out);
	/* 3: done, some files could not be read; 16: a rule stopped it, which status says.  15: the vault is out of reach. */
	buf_str(out, "\nSuccessExitStatus=3 16\nRestart=on-failure\nRestartPreventExitStatus=1 2 4 10 11 12 13 14 130\n"
	    "RestartSec=15min\nTimeoutStopSec=30s\n"
	    "Nice=10\nIOSchedulingClass=idle\nUMask=0077\n\n"
	    "# It reads everything, and writes its state and nothing else.\n"
	    "NoNewPrivileges=yes\nProtectSystem=strict\nReadWritePaths=");
	word_systemd(out, u->state);
	buf_str(out, "\n");
	if (!u->user)
		buf_str(out, "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_IPC_LOCK\nProtectHome=read-only\nProtectKernelModules=yes\n"
		    "ProtectKernelLogs=yes\nProtectClock=yes\nProtectHostname=yes\nRestrictSUIDSGID=yes\n");
	buf_str(out, "ProtectKernelTunables=yes\nProtectControlGroups=yes\nRestrictNamespaces=yes\nRestrictRealtime=yes\n"
	    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n"
	    "SystemCallArchitectures=native\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\nLimitCORE=0\n");
}

void
schedule_timer(const struct schedule *s, struct buf *out)
{
	static const char *const names[7] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

	buf_print(out, "%s\n[Unit]\nDescription=samara: when the set %s is backed up\n\n[Timer]\n", SCHEDULE_MARK, s->set);
	for (unsigned i = 0; i < s->ntimes; i++) {
		const char *comma = "";

		buf_str(out, "OnCalendar=");
		for (unsigned d = 0; d < 7 && s->days != 0x7f; d++)
			if ((s->days >> d & 1) != 0) {
				buf_print(out, "%s%s", comma, names[d]);
				comma = ",";
			}
		buf_print(out, "%s*-*-* %02u:%02u:00\n", s->days != 0x7f ? " " : "", s->times[i] / 60, s->times[i] % 60);
	}
	buf_str(out, "AccuracySec=1min\nPersistent=yes\n\n[Install]\nWantedBy=timers.target\n");
}

void
schedule_cron(const struct schedule *s, const struct schedule_unit *u, struct buf *out)
{
	if (!u->user)
		buf_print(out, "%s\n# Looked at every five minutes, so that what was missed is made up.\n", SCHEDULE_MARK);
	buf_print(out, "*/5 * * * * %s", u->user ? "" : "root ");
	command_put(s, u, word_cron, out);
	buf_str(out, " --quiet\n");
}
