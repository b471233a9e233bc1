/* The files of an image leave a disk that goes back. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/base/stop.h"
#include "common/catalog/catalog.h"
#include "common/disk/image_dir.h"
#include "common/disk/image_file.h"
#include "common/disk/mount.h"
#include "common/flow/ingest_job.h"
#include "common/flow/vault_fate.h"
#include "common/flow/vault_machine.h"
#include "formats/fmt_parcel.h"
#include "formats/fmt_parity.h"

#define PATH_MAX_LEN	1024
#define DEPTH_MAX	8	/* of directories that are looked into for what is left */

struct wiping {
	struct vault *v;
	const struct wipe_options *o;
	struct wipe_result r;
	int diskfd;
	struct image_dir dir;
	struct cat_image image;
};

/* --- single files --- */

/* Delete the regular file ${path} of the image; one that is not there is fine. */
static int
file_wipe(struct wiping *w, const char *path, struct err *e)
{
	struct stat st;

	if (io->fstatat(w->dir.fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(e, "look at %s", path);
	if (!S_ISREG(st.st_mode))
		return 0;	/* nothing of ours; it is told with what is left */
	if (!w->o->dry_run && io->unlinkat(w->dir.fd, path, 0) != 0)
		return err_errno(e, "delete %s", path);
	w->r.files++;
	w->r.bytes += (uint64_t)st.st_size;
	return stop_check(e);
}

/* As file_wipe, for a file that begins as one of the image's own does. */
static int
own_wipe(struct wiping *w, const char *path, struct err *e)
{
	static const char *const magics[] = { "SAMENVL\n", "SAMREFS\n", "SAMCUST\n", "SAMMANI\n", "SAMDIDX\n", "SAMDKEY\n",
		"SAMREGI\n", "SAMDOMN\n", "SAMMEMB\n", "SAMSLOT\n", "SAMGONE\n", "SAMCARR\n" };
	char head[12] = "";	/* lists of ids begin with a length */
	uint64_t len;
	int fd = image_file_open(w->dir.fd, path, &len, NULL), ours = 0;

	if (fd == -1)
		return 0;
	if (io_read_full(fd, head, sizeof(head), 0) == sizeof(head))
		for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
			ours |= memcmp(head, magics[i], 8) == 0 || memcmp(head + 4, magics[i], 8) == 0;
	(void)io->close(fd);
	return ours ? file_wipe(w, path, e) : 0;
}

/* All files of the image's own in its directory ${dir}; the directory too, if nothing else is in it. */
static int
dir_wipe(struct wiping *w, const char *dir, struct err *e)
{
	char path[PATH_MAX_LEN], **names;
	struct stat st;
	size_t n;
	int rc = 0;

	if (io->fstatat(w->dir.fd, dir, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
		return 0;
	if (dir_list(w->dir.fd, dir, &names, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		(void)snprintf(path, sizeof(path), "%s/%.255s", dir, names[i]);
		rc = own_wipe(w, path, e);
	}
	dir_list_free(names, n);
	if (rc == 0 && !w->o->dry_run)
		(void)io->unlinkat(w->dir.fd, dir, AT_REMOVEDIR);
	return rc;
}

/* --- packs --- */

/* The directory that ${path} lies in, if it is empty now. */
static void
above_remove(struct wiping *w, const char *path)
{
	char dir[IMAGE_NAME_MAX];
	char *slash;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	if (!w->o->dry_run && (slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		(void)io->unlinkat(w->dir.fd, dir, AT_REMOVEDIR);
	}
}

/* Whether what went wrong with the index may be over when it is tried again; else it is gone, or damaged in both places. */
static int
may_pass(const struct err *own, struct err *e)
{
	if (own->code != ERR_IO && own->code != ERR_MEMORY && own->code != ERR_PERMISSION)
		return 0;
	if (e != NULL)
		*e = *own;
	return 1;
}

/* What the index names; where that is gone already, so are they. */
static int
packs_wipe(struct wiping *w, const struct disk_statement *s, struct err *e)
{
	const uint8_t *table, *foot;
	char name[IMAGE_NAME_MAX];
	struct index_reader *r;
	uint32_t number, len, table_len;
	struct err own;
	int rc;

	err_clear(&own);
	if ((r = index_reader_new(&w->dir, s, &own)) == NULL)
		return may_pass(&own, e) ? -1 : 0;
	while ((rc = index_reader_next(r, &number, &len, &table, &table_len, &foot, &own)) == 1) {
		image_name_pack(name, number);
		if (file_wipe(w, name, e) != 0)
			break;
		if (number % PACKS_PER_DIR == PACKS_PER_DIR - 1)
			above_remove(w, name);
	}
	index_reader_free(r);
	return rc == 1 || (rc < 0 && may_pass(&own, e)) ? -1 : 0;
}

static int
parity_wipe(struct wiping *w, const struct disk_statement *s, struct err *e)
{
	uint32_t n = s->parity_groups == 0 ? 0 : parity_number(s->packs, s->parity_groups, s->parity_percent, s->parity_groups);
	char name[IMAGE_NAME_MAX];

	for (uint32_t i = 0; i < n; i++) {
		image_name_parity(name, i);
		if (file_wipe(w, name, e) != 0)
			return -1;
		above_remove(w, name);
	}
	return 0;
}

/* Directories packs/NNNN and packs that are empty. */
static void
tree_remove(struct wiping *w, const char *top)
{
	char path[PATH_MAX_LEN], **names;
	size_t n;

	if (w->o->dry_run || dir_list(w->dir.fd, top, &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%.255s", top, names[i]);
		(void)io->unlinkat(w->dir.fd, path, AT_REMOVEDIR);
	}
	dir_list_free(names, n);
	(void)io->unlinkat(w->dir.fd, top, AT_REMOVEDIR);
}

/* --- what is left --- */

static void
left_tell(struct wiping *w, const char *dir, unsigned depth)
{
	char path[PATH_MAX_LEN], told[PATH_MAX_LEN + 32], **names;
	struct stat st;
	size_t n;

	if (dir_list(w->dir.fd, dir, &names, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (depth == 0 && (strcmp(names[i], "label") == 0 || strcmp(names[i], "label2") == 0))
			continue;
		if (snprintf(path, sizeof(path), "%.700s%s%.255s", depth == 0 ? "" : dir, depth == 0 ? "" : "/", names[i]) >=
		    (int)sizeof(path) || io->fstatat(w->dir.fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			left_tell(w, path, depth + 1);
			continue;
		}
		w->r.foreign++;
		(void)snprintf(told, sizeof(told), "%s: %s", w->r.name, path);
		w->o->foreign(w->o->arg, told);
	}
	dir_list_free(names, n);
}

/* --- one image --- */

static int
wiped_record(struct wiping *w, struct err *e)
{
	struct rec_wiped k = { .disk = w->dir.label.disk, .files = w->r.files, .bytes = w->r.bytes };
	struct cat_disk d = { .number = k.disk };
	char note[TEXT_MAX_LEN + 1];
	int rc;

	k.forced = w->image.state != IMAGE_HANDED_OFF && w->image.state != IMAGE_RELEASED;
	memcpy(k.image_id, w->image.id, ID_LEN);
	memcpy(d.image_id, w->image.id, ID_LEN);
	if (k.forced)
		(void)snprintf(k.why, sizeof(k.why), "%.250s", w->o->force);
	if ((rc = catalog_get(w->v->catalog, &cat_disks, &d, e)) < 0)
		return -1;
	if (rc == 0 && d.state == DISK_WIPED)
		return 0;	/* by a run that was stopped behind this */
	if (vault_record(w->v, REC_WIPED, &rec_wiped_schema, &k, e) != 0)
		return -1;
	(void)snprintf(note, sizeof(note), "wiped without a hand-off: %.200s", k.why);
	if (k.forced && vault_custody(w->v, w->image.id, CUSTODY_OVERRIDE, k.disk, note, e) != 0)
		return -1;
	(void)snprintf(note, sizeof(note), "%llu files deleted, not overwritten", (unsigned long long)k.files);
	return vault_custody(w->v, w->image.id, CUSTODY_WIPED, k.disk, note, e);
}

static int
record(struct wiping *w, struct err *e)
{
	if (w->o->dry_run)
		return 0;
	if (vault_begin(w->v, e) != 0)
		return -1;
	if (wiped_record(w, e) != 0) {
		vault_rollback(w->v);
		return -1;
	}
	return vault_commit(w->v, e);
}

/* The label is last: until it is gone the same command goes on. */
static int
image_wipe(struct wiping *w, struct err *e)
{
	static const char *const before[] = { "snap", "snap2", "manif", "manif2", "custody" };
	static const char *const after[] = { "index", "index2", "keys", "keys2" };
	struct disk_statement s;
	uint8_t *bytes = NULL;
	struct err own;
	size_t len;
	int rc = 0;

	err_clear(&own);
	if (image_statement(&w->dir, &bytes, &len, &s, &own) == 0 &&
	    (packs_wipe(w, &s, e) != 0 || parity_wipe(w, &s, e) != 0))
		rc = -1;
	free(bytes);
	tree_remove(w, "packs");
	tree_remove(w, "parity");
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]) && rc == 0; i++)
		rc = dir_wipe(w, before[i], e);
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]) && rc == 0; i++)
		rc = dir_wipe(w, after[i], e);
	if (rc != 0 || own_wipe(w, "carried", e) != 0 || own_wipe(w, "givenup", e) != 0 || file_wipe(w, "stmt2", e) != 0 || file_wipe(w, "stmt", e) != 0)
		return -1;
	if (!w->o->dry_run) {
		left_tell(w, ".", 0);
		if (dir_sync(w->dir.fd, NULL, e) != 0)
			return -1;
	}
	if (record(w, e) != 0 || file_wipe(w, "label2", e) != 0)
		return -1;
	return file_wipe(w, "label", e);
}

/* Whose image is it, and may it go? */
static int
image_check(struct wiping *w, struct err *e)
{
	const struct label *l = &w->dir.label;
	int rc;

	memcpy(w->image.id, l->image_id, ID_LEN);
	if ((rc = catalog_get(w->v->catalog, &cat_images, &w->image, e)) < 0)
		return -1;
	if (rc == 1)
		return err_set(e, ERR_NO_IMAGE, "%s: vault %s has never seen its image", w->r.name, w->v->desc.name);
	if (memcmp(w->image.machine_id, l->machine_id, ID_LEN) != 0 ||
	    (w->image.state != IMAGE_UNCLAIMED && (rc = vault_machine_has_key(w->v, l->machine_id, l->machine_pub, e)) != 1))
		return rc < 0 ? -1 : err_set(e, ERR_WRONG_DISK, "%s: its label is not by the machine whose image it names", w->r.name);
	return vault_may_erase(&w->image, w->r.name, w->o->force, e);
}

/* 1: it is another vault's. */
static int
one(struct wiping *w, const char *name, struct err *e)
{
	char path[64];
	int rc;

	memset(&w->r, 0, sizeof(w->r));
	if (image_dir_open(w->diskfd, name, &w->dir, e) != 0)
		return -1;
	(void)snprintf(w->r.name, sizeof(w->r.name), "%s-%u", w->dir.label.short_name, w->dir.label.disk);
	memcpy(w->r.machine_name, w->dir.label.machine_name, sizeof(w->r.machine_name));
	rc = memcmp(w->dir.label.vault_id, w->v->desc.vault_id, ID_LEN) != 0;
	if (rc == 0 && (rc = image_check(w, e)) == 0)
		rc = image_wipe(w, e);
	image_dir_close(&w->dir);
	if (rc != 0)
		return rc;
	(void)snprintf(path, sizeof(path), IMAGE_TOP "/%.16s", name);
	if (!w->o->dry_run)
		w->r.gone = io->unlinkat(w->diskfd, path, AT_REMOVEDIR) == 0;
	w->o->done(w->o->arg, &w->r);
	return vault_states(w->v, w->image.machine_id, e);
}

/* README.txt, and samara/, if no image is left on the disk. */
static void
readme_remove(int diskfd)
{
	static const char begins[] = "This disk carries backups made by samara";
	uint8_t *bytes;
	char **names;
	size_t n, len;
	int ours;

	if (dir_list(diskfd, IMAGE_TOP, &names, &n, NULL) != 0)
		return;
	ours = n == 1 && strcmp(names[0], strrchr(IMAGE_README, '/') + 1) == 0;
	dir_list_free(names, n);
	if (!ours || image_file_read(diskfd, IMAGE_README, SMALL_STATEMENT_MAX, &bytes, &len, NULL) != 0)
		return;
	if (len >= sizeof(begins) - 1 && memcmp(bytes, begins, sizeof(begins) - 1) == 0 &&
	    io->unlinkat(diskfd, IMAGE_README, 0) == 0)
		(void)io->unlinkat(diskfd, IMAGE_TOP, AT_REMOVEDIR);
	free(bytes);
}

static int
images_wipe(struct wiping *w, const char *path, struct err *e)
{
	size_t n, taken = 0;
	char **names;
	int rc = 0;

	if (image_list(w->diskfd, &names, &n, e) != 0)
		return err_during(e, "%s", path);
	for (size_t i = 0; i < n && rc != -1; i++) {
		rc = one(w, names[i], e);
		taken += rc == 0;
	}
	dir_list_free(names, n);
	if (rc == -1)
		return -1;
	if (taken == 0)
		return err_set(e, ERR_WRONG_VAULT, "no image on the disk at %s is for vault %s", path, w->v->desc.name);
	if (!w->o->dry_run) {
		readme_remove(w->diskfd);
		return dir_sync(w->diskfd, NULL, e);
	}
	return 0;
}

int
vault_wipe(struct vault *v, const char *path, const struct wipe_options *o, struct err *e)
{
	struct wiping w = { .v = v, .o = o, .dir = { .fd = -1 } };
	struct disk_mount m;
	struct err own;
	int rc;

	err_clear(&own);
	if (disk_mount_open(path, o->dry_run ? 0 : DISK_MOUNT_WRITE, NULL, &m, &own) != 0) {
		if (e != NULL)
			*e = own;
		return own.code == ERR_NOT_FOUND ? err_set(e, ERR_NO_IMAGE, "there is no disk at %s", path) : -1;
	}
	w.diskfd = m.fd;
	rc = images_wipe(&w, path, e);
	return disk_mount_close(&m, rc == 0 ? e : NULL) != 0 ? -1 : rc;
}
