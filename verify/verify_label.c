#include <stdio.h>
#include <stdlib.h>

#include "common/base/args.h"
#include "common/base/file.h"
#include "common/base/human.h"
#include "common/base/io.h"
#include "common/base/out.h"
#include "common/base/text.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/disk/mount.h"
#include "verify/verify_commands.h"
#include "verify/verify_common.h"

/* What the rest of the image's small files say. */
struct about {
	int closed, sealed;
	struct disk_statement statement;
	struct manifest manifest;
	uint8_t *statement_bytes, *manifest_bytes;
	size_t statement_len, manifest_len;
};

static void
about_print(const struct label *l, const struct about *b)
{
	char size[HUMAN_MAX], packs[HUMAN_MAX], when[HUMAN_MAX], digest[HUMAN_MAX];
	uint8_t h[DIGEST_LEN];

	if (!b->closed) {
		out_text("state       open: its build was stopped, or goes on\n");
		return;
	}
	out_text("state       closed %s, %s packs, %s\n", human_date(when, b->statement.closed),
	    human_count(packs, b->statement.packs), human_size(size, b->statement.pack_bytes));
	if (!b->sealed) {
		out_text("image       not sealed, or sealed with another disk\n");
		return;
	}
	statement_digest(&manifest_schema, b->manifest_bytes, b->manifest_len, h);
	out_text("image       %s sealed, generation %u, %zu disks, %zu snapshots%s\n", l->short_name, b->manifest.generation,
	    list_count(b->manifest.disks, MANIFEST_DISK_LEN), list_count(b->manifest.envelopes, DIGEST_LEN),
	    b->manifest.key_tested ? "" : "; never opened with its passphrase");
	out_text("manifest    %s\n", human_digest(digest, h));
	if (b->manifest.leans_on.len > 0)
		out_text("leans on    %zu earlier images of the machine\n", list_count(b->manifest.leans_on, ID_LEN));
}

static void
label_emit(const struct label *l, const struct about *b)
{
	struct out *o = out_object("label");

	out_str(o, "image", l->short_name);
	out_bytes(o, "image_id", l->image_id, ID_LEN);
	out_u64(o, "disk", l->disk);
	out_str(o, "vault", l->vault_name);
	out_bytes(o, "vault_id", l->vault_id, ID_LEN);
	out_str(o, "machine", l->machine_name);
	out_bytes(o, "machine_id", l->machine_id, ID_LEN);
	out_bytes(o, "domain_id", l->domain_id, DIGEST_LEN);
	out_i64(o, "created", l->created);
	out_bool(o, "closed", b->closed);
	out_bool(o, "sealed", b->sealed);
	if (b->closed) {
		out_u64(o, "packs", b->statement.packs);
		out_u64(o, "bytes", b->statement.pack_bytes);
	}
	out_emit(o);
}

static int
label_print(int diskfd, const char *name, struct err *e)
{
	struct about b = { 0 };
	struct image_dir d;
	char vault[256], machine[256], when[HUMAN_MAX];
	const struct label *l = &d.label;
	struct err own;

	if (image_dir_open(diskfd, name, &d, e) != 0)
		return -1;
	err_clear(&own);
	b.closed = image_statement(&d, &b.statement_bytes, &b.statement_len, &b.statement, &own) == 0;
	b.sealed = image_manifest(&d, &b.manifest_bytes, &b.manifest_len, &b.manifest, &own) == 0;
	out_text("%s-%u\n", l->short_name, l->disk);
	out_text("machine     %s\n", text_safe(machine, sizeof(machine), l->machine_name, strlen(l->machine_name)));
	out_text("for vault   %s\n", text_safe(vault, sizeof(vault), l->vault_name, strlen(l->vault_name)));
	out_text("label       %s, format %u, suite %u, signed by the key that it names\n", human_date(when, l->created), l->format,
	    l->suite);
	about_print(l, &b);
	label_emit(l, &b);
	free(b.statement_bytes);
	free(b.manifest_bytes);
	image_dir_close(&d);
	return 0;
}

int
verify_label_cmd(struct args *a, struct err *e)
{
	const struct opt opts[] = { { 0 } };
	int rc = args_parse(a, opts, e);
	struct disk_mount m;
	struct err mine;
	char **names;
	size_t n;

	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (args_operands(a, 1, 1, e) != 0)
		return -1;
	err_clear(&mine);
	if (disk_mount_open(a->operands[0], 0, NULL, &m, &mine) != 0) {
		if (mine.code == ERR_NOT_FOUND)
			return err_set(e, ERR_NO_IMAGE, "there is no disk at %s", a->operands[0]);
		*e = mine;
		return -1;
	}
	if (image_list(m.fd, &names, &n, e) != 0) {
		(void)disk_mount_close(&m, NULL);
		return err_during(e, "%s", a->operands[0]);
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = label_print(m.fd, names[i], e);
	dir_list_free(names, n);
	(void)disk_mount_close(&m, NULL);
	if (rc == 0) {
		struct out *o = out_object("summary");

		out_u64(o, "images", n);
		out_emit(o);
	}
	return rc;
}
