/*
 * bench_parity DIR [PACKS]: what parity adds to reading a disk back.
 *
 * Writes PACKS packs (default 100, one group) into DIR and reads them back
 * with 0, 5 and 20 percent of parity in turn, three times: processor time, time on
 * the clock and the most memory of each run, a process of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/crypto/domain_keys.h"
#include "common/crypto/sign.h"
#include "common/disk/image_dir.h"
#include "common/flow/journal.h"
#include "common/flow/read_back_job.h"
#include "common/pack/chunk_seal.h"
#include "common/pack/pack_build.h"
#include "formats/fmt_parity.h"

#define CHUNKS	63u
#define INNER	(256u << 10)
#define RUNS	3

struct bench {
	struct state s;
	uint8_t secret[SIGN_SECRET_LEN];
	struct domain_keys *k;
	struct read_back_pack *packs;
	uint32_t n;
	int dir;
};

static void
die(const struct err *e)
{
	fprintf(stderr, "bench_parity: %s\n", e->msg);
	exit(1);
}

/* Each pack has noise of its own. */
static void
pack_write(struct bench *b, uint32_t number, uint8_t *noise, uint8_t *out)
{
	struct pack_part parts[CHUNKS];
	struct pack_info info;
	char name[IMAGE_NAME_MAX];
	struct err e;

	err_clear(&e);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		uint8_t *inner = noise + (size_t)i * INNER;

		memcpy(inner, &number, sizeof(number));
		parts[i] = (struct pack_part){ .kind = KIND_DATA, .inner = inner, .inner_len = INNER };
		io_random(parts[i].id, DIGEST_LEN);
	}
	pack_build(b->k, b->s.id.machine_id, b->secret, parts, CHUNKS, out, &info);
	b->packs[number] = (struct read_back_pack){ .number = number, .file_len = info.len };
	memcpy(b->packs[number].id, info.id, DIGEST_LEN);
	image_name_pack_dir(name, number);
	if (dir_make(b->dir, name, 0755, &e) != 0)
		die(&e);
	image_name_pack(name, number);
	if (file_replace(b->dir, name, out, info.len, 0644, &e) != 0)
		die(&e);
}

static void
bench_setup(struct bench *b, const char *dir, uint32_t n)
{
	uint8_t master[KEY_LEN], seed[KEY_LEN], *noise = malloc((size_t)CHUNKS * INNER), *out = malloc(PACK_LEN_MAX);
	struct err e;

	err_clear(&e);
	memset(b, 0, sizeof(*b));
	b->n = n;
	b->packs = calloc(n, sizeof(*b->packs));
	if (noise == NULL || out == NULL || b->packs == NULL || (b->dir = dir_open(AT_FDCWD, dir, &e)) == -1)
		die(&e);
	io_random(master, sizeof(master));
	io_random(seed, sizeof(seed));
	io_random(b->s.id.machine_id, ID_LEN);
	for (uint32_t i = 0; i < CHUNKS; i++)
		io_random(noise + (size_t)i * INNER, INNER);
	sign_keys(seed, b->s.machine_pub, b->secret);
	b->k = domain_keys_new(master);
	for (uint32_t i = 0; i < n; i++)
		pack_write(b, i, noise, out);
	free(noise);
	free(out);
}

/* One reading back, in this process. */
static void
read_once(struct bench *b, uint8_t percent)
{
	struct image_disk d = { .statement = { .disk = 1, .packs = b->n, .parity_percent = percent,
		.parity_groups = parity_groups(b->n, percent) } };
	const struct read_back_how how = { .workers = 2 };
	struct read_back r = { .imagefd = b->dir, .s = &b->s, .d = &d, .how = &how, .packs = b->packs, .n = b->n };
	struct err e;

	err_clear(&e);
	(void)io->unlinkat(b->dir, "journal", 0);
	if ((r.j = journal_create(b->dir, "journal", 0, NULL, 0, &e)) == NULL)
		die(&e);
	medium_begin(&r.medium, b->dir);
	if (read_back_packs(&r, &e) != 0)
		die(&e);
	if (!medium_end(&r.medium))
		fprintf(stderr, "bench_parity: this file system reads from memory\n");
	journal_close(r.j);
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void
measure(struct bench *b, uint8_t percent, double bytes)
{
	struct rusage u;
	int64_t begin = io_mono_ns();
	pid_t pid;
	int st;

	if ((pid = fork()) == 0) {
		read_once(b, percent);
		_exit(0);
	}
	if (wait4(pid, &st, 0, &u) != pid || st != 0)
		exit(1);
	printf("%2u %%  clock %6.2f s  processor %6.2f s (user %.2f, system %.2f)  %5.0f MB/s  memory %4ld MiB\n", percent,
	    (double)(io_mono_ns() - begin) / 1e9, seconds(u.ru_utime) + seconds(u.ru_stime), seconds(u.ru_utime),
	    seconds(u.ru_stime), bytes * 1e3 / (double)(io_mono_ns() - begin), u.ru_maxrss / 1024);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const uint8_t percents[] = { 0, 5, 20 };
	struct bench b;
	double bytes = 0;

	if (argc < 2)
		return 2;
	bench_setup(&b, argv[1], argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100);
	for (uint32_t i = 0; i < b.n; i++)
		bytes += b.packs[i].file_len;
	printf("%u packs, %.2f GB\n", b.n, bytes / 1e9);
	for (int run = 0; run < RUNS; run++)
		for (size_t i = 0; i < sizeof(percents); i++)
			measure(&b, percents[i], bytes);
	domain_keys_free(b.k);
	free(b.packs);
	return 0;
}
