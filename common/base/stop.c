#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/stop.h"

static atomic_int asked;	/* lock-free, so a handler may set it */

static void
on_signal(int sig)
{
	(void)sig;
	atomic_store(&asked, 1);
}

static void
handle(int sig, void (*handler)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = SA_RESTART;	/* a write in progress is not torn by the request */
	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(sig, &sa, NULL);
}

void
stop_init(void)
{
	handle(SIGINT, on_signal);
	handle(SIGTERM, on_signal);
	handle(SIGHUP, SIG_IGN);
}

int
stop_asked(void)
{
	return atomic_load_explicit(&asked, memory_order_relaxed);
}

int
stop_check(struct err *e)
{
	if (!stop_asked())
		return 0;
	return err_set(e, ERR_INTERRUPTED, "stopped as asked");
}

void
stop_ask(void)
{
	atomic_store(&asked, 1);
}

void
stop_reset(void)
{
	atomic_store(&asked, 0);
}
