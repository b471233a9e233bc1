#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/passphrase.h"
#include "common/base/prompt.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#define RAW_LEN		(PASSPHRASE_MOST + 3)	/* a newline and one too many to notice */

void
passphrase_release(struct passphrase *p)
{
	secret_free(p->text);
	p->text = NULL;
	p->len = 0;
}

int
passphrase_check(const struct passphrase *p, struct err *e)
{
	if (text_length(p->text, p->len) >= PASSPHRASE_LEAST)
		return 0;
	return err_set(e, ERR_WEAK, "the passphrase has fewer than %d characters",
	    PASSPHRASE_LEAST);
}

int
passphrase_set(struct passphrase *p, const void *bytes, size_t len, struct err *e)
{
	const char *s = bytes;

	p->text = NULL;
	p->len = 0;
	if (len > 0 && s[len - 1] == '\n') {
		len--;
		if (len > 0 && s[len - 1] == '\r')	/* a file from another system */
			len--;
	}
	if (len == 0)
		return err_set(e, ERR_NO_PASSPHRASE, "the passphrase that was given is empty");
	if (len > PASSPHRASE_MOST)
		return err_set(e, ERR_PASSPHRASE, "the passphrase is longer than %d bytes",
		    PASSPHRASE_MOST);
	if (memchr(s, '\0', len) != NULL)
		return err_set(e, ERR_PASSPHRASE, "the passphrase holds a zero byte");
	p->text = secret_new(len + 1);
	memcpy(p->text, s, len);
	p->len = len;
	return 0;
}

/* All that the descriptor gives, as a passphrase; ${fd} stays open. */
static int
from_fd(struct passphrase *p, int fd, const char *what, struct err *e)
{
	char *raw = secret_new(RAW_LEN);
	ssize_t n = io_read_full(fd, raw, RAW_LEN, -1);
	int rc;

	if (n == -1)
		rc = err_errno(e, "read the passphrase from %s", what);
	else if ((rc = passphrase_set(p, raw, (size_t)n, e)) != 0)
		(void)err_during(e, "%s", what);
	secret_free(raw);
	return rc;
}

static int
from_file(struct passphrase *p, const char *path, struct err *e)
{
	int fd = io->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	int rc;

	if (fd == -1) {
		(void)err_errno(e, "read the passphrase from %s", path);
		if (e != NULL)
			e->code = ERR_NO_PASSPHRASE;
		return err_next(e, "Check the path of the passphrase file.");
	}
	rc = from_fd(p, fd, path, e);
	(void)io->close(fd);
	return rc;
}

/* In the child: give the command its output and become it. */
static void
become_command(const char *command, int out)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(out, STDOUT_FILENO) == STDOUT_FILENO)
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static int
from_command(struct passphrase *p, const char *command, struct err *e)
{
	int ends[2], status = 0, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_errno(e, "start SAMARA_PASSPHRASE_COMMAND");
	if ((pid = fork()) == 0)
		become_command(command, ends[1]);
	(void)close(ends[1]);
	if (pid == -1) {
		(void)close(ends[0]);
		return err_errno(e, "start SAMARA_PASSPHRASE_COMMAND");
	}
	rc = from_fd(p, ends[0], "SAMARA_PASSPHRASE_COMMAND", e);
	(void)close(ends[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return rc;
	passphrase_release(p);
	return err_set(e, ERR_NO_PASSPHRASE, "SAMARA_PASSPHRASE_COMMAND failed (%s %d)",
	    WIFSIGNALED(status) ? "signal" : "exit status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int
from_number(struct passphrase *p, const char *number, struct err *e)
{
	uint64_t fd;
	int rc;

	if (human_parse_number(number, 1 << 20, &fd, e) != 0)
		return err_during(e, "SAMARA_PASSPHRASE_FD");
	rc = from_fd(p, (int)fd, "SAMARA_PASSPHRASE_FD", e);
	(void)io->close((int)fd);
	return rc;
}

/* Another process of this user could read it there; a later one shall not. */
static int
from_environment(struct passphrase *p, char *value, struct err *e)
{
	size_t len = strlen(value);
	int rc = passphrase_set(p, value, len, e);

	secret_wipe(value, len);
	(void)unsetenv("SAMARA_PASSPHRASE");
	return rc;
}

static int
from_terminal(struct passphrase *p, const char *purpose, int fresh, struct err *e)
{
	char *raw = secret_new(RAW_LEN), *again = NULL;
	size_t len, len2;
	int rc;

	if ((rc = prompt_secret(purpose, raw, RAW_LEN, &len, e)) != 0 ||
	    (rc = passphrase_set(p, raw, len, e)) != 0)
		goto done;
	/* Say so before it is typed a second time. */
	if (!fresh || (rc = passphrase_check(p, e)) != 0)
		goto done;
	again = secret_new(RAW_LEN);
	if ((rc = prompt_secret("the same again", again, RAW_LEN, &len2, e)) != 0)
		goto done;
	if (len != len2 || !secret_equal(raw, again, len))
		rc = err_set(e, ERR_PASSPHRASE, "the two passphrases are not the same");
done:
	secret_free(again);
	secret_free(raw);
	return rc;
}

static char *
variable(const char *name)
{
	char *v = getenv(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

static int
from_first(struct passphrase *p, const char *file, const char *purpose, int fresh,
    struct err *e)
{
	char *v;

	if (file != NULL || (file = variable("SAMARA_PASSPHRASE_FILE")) != NULL)
		return from_file(p, file, e);
	if ((v = variable("SAMARA_PASSPHRASE_COMMAND")) != NULL)
		return from_command(p, v, e);
	if ((v = variable("SAMARA_PASSPHRASE_FD")) != NULL)
		return from_number(p, v, e);
	if ((v = variable("SAMARA_PASSPHRASE")) != NULL)
		return from_environment(p, v, e);
	return from_terminal(p, purpose, fresh, e);
}

int
passphrase_get(struct passphrase *p, const char *file, const char *purpose, int fresh,
    struct err *e)
{
	int rc;

	p->text = NULL;
	p->len = 0;
	rc = from_first(p, file, purpose, fresh, e);
	if (rc == 0 && fresh)
		rc = passphrase_check(p, e);
	if (rc != 0)
		passphrase_release(p);
	return rc;
}

/* One character of ${n}, each as likely as any other. */
static char
pick(const char *from, size_t n)
{
	uint8_t r;

	do {
		io_random(&r, 1);
	} while (r >= 256 / n * n);
	return from[r % n];
}

void
passphrase_generate(struct passphrase *p)
{
	static const char letters[] = "23456789abcdefghjkmnpqrstuvwxyz";	/* no 0 o 1 i l */

	p->text = secret_new(PASSPHRASE_MADE);
	p->len = PASSPHRASE_MADE - 1;
	for (size_t i = 0; i < p->len; i++)
		p->text[i] = i % 6 == 5 ? '-' : pick(letters, sizeof(letters) - 1);
}
