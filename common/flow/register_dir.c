/* The directory in which a machine is being registered, and what interrupted runs left in it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/doc.h"
#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/secret.h"
#include "common/crypto/hash.h"
#include "common/flow/registering.h"

#define PENDING_MAX	4096

/* Names of a state, in the order in which they are written. */
static const char *const parts[] = {
	"pending", "domain", "member", "slots", "local.key", "local.slt", "regist", "trust", "vault.crd", "identity",
	"kit.note", "sets", "snaps", "images", "jobs", "runs", "cache"
};
#define FIRST_DIRECTORY	11	/* from here on: made after registration only */

/* The position of ${name} in the table, or -1. */
static int
part_find(const char *name)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(name, parts[i]) == 0)
			return (int)i;
	return -1;
}

/* ".NAME.tmp-…": a write of one of our parts that never ended. */
static bool
is_remnant(const char *name)
{
	for (size_t i = 0; name[0] == '.' && i < FIRST_DIRECTORY; i++) {
		size_t n = strlen(parts[i]);

		if (strncmp(name + 1, parts[i], n) == 0 && strncmp(name + 1 + n, ".tmp-", 5) == 0)
			return true;
	}
	return false;
}

static bool
is_listed(char **names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int
refuse_damaged(const char *path, const char *name, struct err *e)
{
	(void)err_set(e, ERR_STATE, "%s holds \"%s\" of a registered machine, but not its identity", path, name);
	return err_next(e, "Put the whole directory back from a copy; to register a new machine, use another --state.");
}

static int
refuse_foreign(const char *path, const char *name, struct err *e)
{
	(void)err_set(e, ERR_TARGET, "%s is not empty (\"%s\") and is not a state directory", path, name);
	return err_next(e, "Give --state a directory of its own; it need not exist yet.");
}

static int
names_check(const char *path, char **names, size_t n, struct err *e)
{
	bool pending = is_listed(names, n, "pending");

	if (is_listed(names, n, "identity")) {
		(void)err_set(e, ERR_REGISTERED, "a machine is registered in %s already", path);
		return err_next(e, "Its recovery kit is written by samara-seed key kit --kit FILE; another machine needs another "
		    "--state directory.");
	}
	for (size_t i = 0; i < n; i++) {
		int part = part_find(names[i]);

		if (part >= (pending ? FIRST_DIRECTORY : 0))
			return refuse_damaged(path, names[i], e);
		if (!pending && part == -1 && !is_remnant(names[i]) && strcmp(names[i], "lock") != 0 &&
		    strcmp(names[i], "lost+found") != 0)
			return refuse_foreign(path, names[i], e);
	}
	return 0;
}

int
register_dir_check_open(int fd, const char *path, struct err *e)
{
	char **names;
	size_t n;
	int rc;

	if (dir_list(fd, ".", &names, &n, e) != 0)
		return err_during(e, "state directory %s", path);
	rc = names_check(path, names, n, e);
	if (is_listed(names, n, "identity") && is_listed(names, n, "pending"))
		(void)register_pending_drop(fd, NULL);	/* all that the interrupted run had left to do */
	dir_list_free(names, n);
	return rc;
}

int
register_dir_check(const char *path, struct err *e)
{
	int fd = dir_open(AT_FDCWD, path, e), rc;

	if (fd == -1) {
		if (e->code != ERR_NOT_FOUND)
			return err_during(e, "state directory");
		err_clear(e);
		return 0;
	}
	rc = register_dir_check_open(fd, path, e);
	(void)io->close(fd);
	return rc;
}

/* What `pending` holds of a passphrase: a digest under a random key.  148 bits are not to be guessed from it. */
static void
passphrase_mark(const uint8_t salt[KEY_LEN], const struct passphrase *p, uint8_t mark[DIGEST_LEN])
{
	hash_keyed(salt, p->text, p->len, mark);
}

int
register_pending_write(struct registering *r, int fd, struct err *e)
{
	uint8_t salt[KEY_LEN], mark[DIGEST_LEN];
	struct doc *d = doc_object();
	char *text;
	size_t len;
	int rc;

	if (r->made) {
		io_random(salt, sizeof(salt));
		passphrase_mark(salt, &r->pass, mark);
		doc_put_hex(d, "salt", salt, sizeof(salt));
		doc_put_hex(d, "mark", mark, sizeof(mark));
	}
	if ((rc = doc_write(d, &text, &len, e)) == 0)
		rc = file_replace(fd, "pending", text, len, 0600, e);
	free(text);
	doc_free(d);
	return rc;
}

/* Whether the passphrase is the one that `pending` below ${fd} was written for. */
static bool
mark_fits(int fd, const struct passphrase *p)
{
	uint8_t salt[KEY_LEN], mark[DIGEST_LEN], again[DIGEST_LEN];
	struct doc *d = NULL;
	uint8_t *bytes;
	size_t len;
	bool fits = false;

	if (file_read(fd, "pending", PENDING_MAX, &bytes, &len, NULL) != 0)
		return false;
	if ((d = doc_read(bytes, len, "pending", NULL)) != NULL && doc_get_hex(d, "salt", salt, sizeof(salt)) == 0 &&
	    doc_get_hex(d, "mark", mark, sizeof(mark)) == 0) {
		passphrase_mark(salt, p, again);
		fits = secret_equal(mark, again, DIGEST_LEN) != 0;
	}
	doc_free(d);
	free(bytes);
	return fits;
}

int
register_left_take(struct registering *r)
{
	uint8_t *bytes;
	size_t len;
	int fd, taken = 0;

	if ((fd = dir_open(AT_FDCWD, r->o->state, NULL)) == -1)
		return 0;
	if (file_read(AT_FDCWD, r->o->generate, PASSPHRASE_MOST, &bytes, &len, NULL) != 0)
		goto close;
	if (passphrase_set(&r->pass, bytes, len, NULL) == 0) {
		if (mark_fits(fd, &r->pass))
			taken = 1;
		else
			passphrase_release(&r->pass);
	}
	secret_wipe(bytes, len);
	free(bytes);
close:
	(void)io->close(fd);
	return taken;
}

int
register_pending_drop(int fd, struct err *e)
{
	char **names;
	size_t n;
	int rc = 0;

	if (dir_list(fd, ".", &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		if ((is_remnant(names[i]) || strcmp(names[i], "pending") == 0) &&
		    io->unlinkat(fd, names[i], 0) != 0 && errno != ENOENT)
			rc = err_errno(e, "remove %s", names[i]);
	dir_list_free(names, n);
	return rc == 0 ? dir_sync(fd, NULL, e) : -1;
}
