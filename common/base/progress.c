#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/progress.h"
#include "common/base/text.h"

#define PAINT_NS	INT64_C(200000000)	/* on a terminal */
#define LINE_NS		INT64_C(60000000000)	/* elsewhere */
#define LINE_MAX_LEN	1000

static struct {
	pthread_mutex_t lock;	/* title, item, note */
	char title[100];
	char item[400];
	char note[100];
	atomic_uint_fast64_t total, bytes, items;
	int64_t start_ns;
	int allowed, terminal;
	atomic_int running;
	sem_t wake;		/* posted by SIGUSR1 and at the end */
	atomic_int status, ending;
	pthread_t painter;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER, .allowed = 1 };

void
progress_allow(int allow)
{
	now.allowed = allow;
}

/* "50 %  1.2 TB of 2.4 TB  555 MB/s  3.1 days left" as far as it is known. */
static int
figures(char *buf, size_t n, const struct progress_state *s)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX], d[HUMAN_MAX], e[HUMAN_MAX];
	uint64_t left = s->total > s->bytes ? s->total - s->bytes : 0;
	double end = s->bytes == 0 ? 0 : (double)s->elapsed_ns * (double)left / (double)s->bytes;

	(void)human_size(a, s->bytes);
	(void)human_rate(b, s->bytes, s->elapsed_ns);
	(void)human_count(c, s->items);
	if (s->total == 0)
		return snprintf(buf, n, "%s: %s, %s items, %s", s->title, a, c, b);
	(void)human_percent(d, s->bytes < s->total ? s->bytes : s->total, s->total);
	if (s->bytes == 0 || end > 9e18)
		return snprintf(buf, n, "%s: %s, %s, %s items, %s", s->title, d, a, c, b);
	return snprintf(buf, n, "%s: %s, %s, %s items, %s, %s left", s->title, d, a, c, b,
	    human_duration(e, (int64_t)end));
}

/* Cut ${s} to ${columns} code points, its end ("...") being what is kept. */
static const char *
tail_of(const char *s, size_t columns)
{
	while (*s != '\0' && text_length(s, strlen(s)) > columns) {
		s++;
		while ((*s & 0xc0) == 0x80)
			s++;
	}
	return s;
}

static void
cut_to(char *s, size_t columns)
{
	size_t count = 0;

	for (; *s != '\0'; s++) {
		if ((*s & 0xc0) == 0x80)
			continue;
		if (count++ == columns) {
			*s = '\0';
			return;
		}
	}
}

char *
progress_line(char *buf, size_t n, size_t columns, const struct progress_state *s)
{
	int len = figures(buf, n, s);
	size_t used = len < 0 ? 0 : (size_t)len < n ? (size_t)len : n - 1, wide;

	buf[used] = '\0';
	if (s->note[0] != '\0')
		(void)snprintf(buf + used, n - used, ", %s", s->note);
	used = strlen(buf);
	wide = text_length(buf, used);
	if (s->item[0] != '\0' && columns == 0) {
		(void)snprintf(buf + used, n - used, "  %s", s->item);
	} else if (s->item[0] != '\0' && wide + 10 <= columns) {
		const char *tail = tail_of(s->item, columns - wide - 2);

		if (tail != s->item)
			tail = tail_of(tail, columns - wide - 5);
		(void)snprintf(buf + used, n - used, "  %s%s", tail == s->item ? "" : "...", tail);
	}
	if (columns > 0)
		cut_to(buf, columns);
	return buf;
}

void
progress_copy(struct progress_copy *c)
{
	(void)pthread_mutex_lock(&now.lock);
	memcpy(c->title, now.title, sizeof(c->title));
	memcpy(c->item, now.item, sizeof(c->item));
	memcpy(c->note, now.note, sizeof(c->note));
	c->running = now.running;
	c->elapsed_ns = now.start_ns == 0 ? 0 : io_mono_ns() - now.start_ns;
	(void)pthread_mutex_unlock(&now.lock);
	c->total = atomic_load(&now.total);
	c->bytes = atomic_load(&now.bytes);
	c->items = atomic_load(&now.items);
}

static void
paint(int to_terminal)
{
	struct progress_state s;
	struct winsize w;
	char line[LINE_MAX_LEN];
	size_t columns = 0;

	if (to_terminal)
		columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ?
		    (size_t)w.ws_col - 1 : 79;
	(void)pthread_mutex_lock(&now.lock);
	s.title = now.title;
	s.item = now.item;
	s.note = now.note;
	s.total = atomic_load(&now.total);
	s.bytes = atomic_load(&now.bytes);
	s.items = atomic_load(&now.items);
	s.elapsed_ns = io_mono_ns() - now.start_ns;
	(void)progress_line(line, sizeof(line) - 2, columns, &s);
	(void)pthread_mutex_unlock(&now.lock);
	if (to_terminal) {
		say_sticky(line);
		return;
	}
	(void)strcat(line, "\n");
	say_raw(line);
}

/* Wait for the semaphore, ${ns} at most if that is not 0; 1 if it was posted. */
static int
wait_for(int64_t ns)
{
	struct timespec until;
	int rc;

	if (ns == 0) {
		while ((rc = sem_wait(&now.wake)) != 0 && errno == EINTR)
			;
		return rc == 0;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);	/* as the semaphore does, not by io */
	until.tv_sec += (time_t)(ns / 1000000000);
	until.tv_nsec += (long)(ns % 1000000000);
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while ((rc = sem_clockwait(&now.wake, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
		;
	return rc == 0;
}

static void *
painter(void *arg)
{
	const int64_t every = !now.allowed ? 0 : now.terminal ? PAINT_NS : LINE_NS;

	(void)arg;
	while (!atomic_load(&now.ending)) {
		int posted = wait_for(every);

		if (atomic_load(&now.ending))
			break;
		if (atomic_exchange(&now.status, 0))
			paint(0);
		else if (!posted)
			paint(now.terminal);
	}
	return NULL;
}

static void
on_usr1(int sig)
{
	int kept = errno;

	(void)sig;
	atomic_store(&now.status, 1);
	(void)sem_post(&now.wake);
	errno = kept;
}

/* SIGUSR1 as long as a job runs, and not the default of ending it after. */
static void
usr1_take(void (*handler)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = SA_RESTART;
	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGUSR1, &sa, NULL);
}

void
progress_start(const char *title, uint64_t total)
{
	sigset_t all, before;

	progress_end();
	(void)pthread_mutex_lock(&now.lock);	/* progress_copy may look at any time */
	(void)snprintf(now.title, sizeof(now.title), "%s", title);
	now.item[0] = now.note[0] = '\0';
	now.start_ns = io_mono_ns();
	(void)pthread_mutex_unlock(&now.lock);
	atomic_store(&now.total, total);
	atomic_store(&now.bytes, 0);
	atomic_store(&now.items, 0);
	atomic_store(&now.status, 0);
	atomic_store(&now.ending, 0);
	now.terminal = isatty(STDERR_FILENO);
	if (sem_init(&now.wake, 0, 0) != 0)
		return;			/* a job without a line is still a job */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	now.running = pthread_create(&now.painter, NULL, painter, NULL) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (now.running)
		usr1_take(on_usr1);
	else
		(void)sem_destroy(&now.wake);
}

void
progress_end(void)
{
	if (!now.running)
		return;
	usr1_take(SIG_IGN);
	atomic_store(&now.ending, 1);
	(void)sem_post(&now.wake);
	(void)pthread_join(now.painter, NULL);
	now.running = 0;
	say_sticky(NULL);
	/*
	 * The semaphore stays: a handler that began before SIG_IGN may still be
	 * on its way to it in another thread.
	 */
}

void
progress_add(uint64_t bytes, uint64_t items)
{
	(void)atomic_fetch_add_explicit(&now.bytes, bytes, memory_order_relaxed);
	if (items > 0)
		(void)atomic_fetch_add_explicit(&now.items, items, memory_order_relaxed);
}

void
progress_total(uint64_t total)
{
	atomic_store(&now.total, total);
}

void
progress_item(const void *name, size_t len)
{
	if (!now.running || pthread_mutex_trylock(&now.lock) != 0)
		return;		/* the next name will do as well */
	(void)text_safe(now.item, sizeof(now.item), name, len);
	(void)pthread_mutex_unlock(&now.lock);
}

void
progress_note(const char *text)
{
	(void)pthread_mutex_lock(&now.lock);
	(void)snprintf(now.note, sizeof(now.note), "%s", text == NULL ? "" : text);
	(void)pthread_mutex_unlock(&now.lock);
}

void
progress_done(uint64_t *bytes, uint64_t *items)
{
	*bytes = atomic_load(&now.bytes);
	*items = atomic_load(&now.items);
}
