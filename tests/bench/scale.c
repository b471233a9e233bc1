/*
 * What must hold at any size, driven with chunks that are made up: the
 * duplicate index, the sorting and digests of reference lists, and a vault's
 * chunk index.
 *
 *   scale [--chunks N] [--snapshots N] [--memory MB] [--only PART] [--in DIR]
 *
 * A million chunks and ten snapshots if nothing is said, as in every test run;
 * 40000000 and 400 are what the design speaks of (about half an hour of processor
 * time, and 4 GB in DIR).  A thousandth of the chunks changes from one snapshot to the next.
 * Every part runs in a process of its own and prints how much memory that took
 * at most.  Answers and memory are checked; how long it takes is only said.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/io.h"
#include "common/catalog/catalog.h"
#include "common/catalog/catalog_chunks.h"
#include "common/catalog/catalog_rows.h"
#include "common/catalog/seen.h"
#include "common/pack/id_sorter.h"
#include "common/pack/refs.h"
#include "formats/fmt.h"

#define CHANGE		1000u		/* one chunk of so many changes */
#define BATCH		256u		/* ids asked for at a time */
#define IN_PACK		64u
#define SORTER_MEMORY	((size_t)32 << 20)
#define ALL_ELSE	((size_t)24 << 20)	/* of a process: libraries, stacks, what malloc keeps */

struct scale {
	uint64_t chunks, snapshots;
	size_t memory;			/* the duplicate index's share */
	const char *only, *in;
	char path[4096];		/* scratch directory */
	int fd;
};

static const uint8_t domain[DIGEST_LEN] = { 0xd0 }, writer[ID_LEN] = { 0xa1 }, vault[ID_LEN] = { 0x7a };

static void
fail(const char *what, const struct err *e)
{
	(void)fprintf(stderr, "scale: %s%s%s\n", what, e != NULL ? ": " : "", e != NULL ? e->msg : "");
	exit(1);
}

static void
must(int ok, const char *what, const struct err *e)
{
	if (!ok)
		fail(what, e);
}

static uint64_t
mixed(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* The ${version} of chunk ${k}: ids rise with k and are as good as random otherwise. */
static void
id_of(const struct scale *s, uint64_t k, uint64_t version, uint8_t id[DIGEST_LEN])
{
	uint64_t width = UINT64_MAX / s->chunks, high = k * width + mixed(k) % width;

	for (unsigned i = 0; i < 8; i++)
		id[i] = (uint8_t)(high >> (56 - 8 * i));
	le64_put(id + 8, mixed(k ^ version << 40));
	le64_put(id + 16, mixed(~k ^ version << 40));
	le64_put(id + 24, version);
}

/* Each chunk changes once in CHANGE snapshots, at a time of its own. */
static uint64_t
version_at(uint64_t k, uint64_t snapshot)
{
	return (snapshot + mixed(k) % CHANGE) / CHANGE;
}

/* A number of steps over all chunks that goes through them all, out of order. */
static uint64_t
step_over(uint64_t n)
{
	uint64_t a, b, t, step = (uint64_t)((double)n * 0.6180339887) | 1;

	for (;; step += 2) {
		for (a = n, b = step; b != 0; t = a % b, a = b, b = t)
			;
		if (a == 1)
			return step;
	}
}

/* This process's time on a processor, in seconds: others on the machine do not count. */
static double
now(void)
{
	struct timespec t = { 0, 0 };

	(void)io->clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
said(const char *what, uint64_t n, double began)
{
	double took = now() - began;

	(void)printf("  %-46s %7.2f CPU-s  %6.2f M/s\n", what, took, (double)n / 1e6 / (took > 0 ? took : 1e-9));
	(void)fflush(stdout);
}

/* --- the duplicate index --- */

/* Claim ${n} chunks from number ${from}, changed ones only if ${snapshot}; all must be ${known} or all must not. */
static uint64_t
claim_all(const struct scale *s, struct seen *seen, uint64_t snapshot, uint8_t known)
{
	uint64_t step = step_over(s->chunks), k = 0, claimed = 0;
	uint8_t ids[BATCH][DIGEST_LEN], is[BATCH];
	size_t n = 0;
	struct err e;

	err_clear(&e);
	for (uint64_t i = 0; i <= s->chunks; i++) {
		if (n == BATCH || (i == s->chunks && n > 0)) {
			must(seen_claim(seen, &ids[0][0], n, is, &e) == 0, "claim", &e);
			for (size_t j = 0; j < n; j++)
				must(is[j] == known, known ? "a claimed chunk was forgotten" : "a new chunk was said to be known", NULL);
			claimed += n;
			n = 0;
		}
		if (i == s->chunks)
			break;
		if (snapshot == 0 || version_at(k, snapshot) != version_at(k, snapshot - 1))
			id_of(s, k, version_at(k, snapshot), ids[n++]);
		k = (k + step) % s->chunks;
	}
	return claimed;
}

static size_t
index_run(const struct scale *s, size_t memory, size_t *most)
{
	struct err e;
	struct seen *seen;
	uint64_t held, forgotten, all = s->chunks;
	size_t took;
	double began = now();

	err_clear(&e);
	seen = seen_new(s->fd, memory, UINT64_MAX, &e);
	must(seen != NULL, "duplicate index", &e);
	(void)claim_all(s, seen, 0, 0);
	said("claim the first snapshot's chunks", s->chunks, began);
	seen_counts(seen, &held, &forgotten, &took);
	must(held == s->chunks && forgotten == 0, "the duplicate index has not what was put in", NULL);
	*most = took;
	began = now();
	for (uint64_t i = 1; i < s->snapshots; i += s->snapshots / 8 + 1) {
		all += claim_all(s, seen, i, 0);
		(void)claim_all(s, seen, i, 1);
	}
	said("claim what changed, twice (all looked through)", 2 * s->chunks, began);
	began = now();
	(void)claim_all(s, seen, 0, 1);
	said("claim the first snapshot's again: all known", s->chunks, began);
	seen_counts(seen, &held, &forgotten, &took);
	must(held == all && forgotten == 0, "the duplicate index forgot something", NULL);
	*most = took > *most ? took : *most;
	seen_free(seen);
	return (size_t)all;
}

/* All in memory: at most 24 bytes a chunk. */
static size_t
part_index(const struct scale *s)
{
	size_t most, all = index_run(s, SIZE_MAX / 2, &most);

	(void)printf("  %.1f bytes a chunk in memory\n", (double)most / (double)all);
	must(all < 100000 || (double)most <= 24.0 * (double)all, "the duplicate index takes more than 24 bytes a chunk", NULL);
	return most + ALL_ELSE;
}

/* A share of memory that is too small: sorted runs. */
static size_t
part_runs(const struct scale *s)
{
	size_t most, all = index_run(s, s->memory, &most);

	(void)printf("  %.1f bytes a chunk in memory, a share of %.0f MB\n", (double)most / (double)all, (double)s->memory / 1e6);
	must(most <= s->memory + s->memory / 8 + ((size_t)1 << 20), "the duplicate index takes more than its share", NULL);
	return s->memory + s->memory / 8 + ALL_ELSE;
}

/* --- reference lists --- */

/* The digest of a snapshot's list, its ids made in order. */
static void
list_digest(const struct scale *s, uint64_t snapshot, uint8_t out[DIGEST_LEN])
{
	struct refs_digest *d = refs_digest_new(domain);
	uint8_t id[DIGEST_LEN];
	uint64_t count;

	must(d != NULL, "no memory for a digest", NULL);
	for (uint64_t k = 0; k < s->chunks; k++) {
		id_of(s, k, version_at(k, snapshot), id);
		must(refs_digest_add(d, id) == 0, "ids do not rise", NULL);
	}
	refs_digest_final(d, out, &count);
	must(count == s->chunks, "the digest counts wrong", NULL);
	refs_digest_free(d);
}

/* Ids as a build meets them, some of them again and again, sorted in 32 MB. */
static size_t
part_lists(const struct scale *s)
{
	uint64_t step = step_over(s->chunks), k = 0, count, again = 0;
	uint8_t id[DIGEST_LEN], sorted[DIGEST_LEN], plain[DIGEST_LEN];
	struct refs_digest *d = refs_digest_new(domain);
	struct id_sorter *sorter;
	double began = now();
	struct err e;
	int rc;

	err_clear(&e);
	sorter = id_sorter_new(s->fd, SORTER_MEMORY, &e);
	must(sorter != NULL && d != NULL, "sorter", &e);
	for (uint64_t i = 0; i < s->chunks; i++, k = (k + step) % s->chunks) {
		id_of(s, k, version_at(k, 0), id);
		for (unsigned times = mixed(~k) % 16 == 0 ? 2 : 1; times > 0; times--, again++)
			must(id_sorter_add(sorter, id, &e) == 0, "sort", &e);
	}
	said("add to the sorter, one in 16 twice", again, began);
	began = now();
	must(id_sorter_rewind(sorter, &e) == 0, "sort", &e);
	while ((rc = id_sorter_next(sorter, id, &e)) == 1)
		must(refs_digest_add(d, id) == 0, "sorted ids do not rise", NULL);
	must(rc == 0, "sort", &e);
	refs_digest_final(d, sorted, &count);
	said("sort, merge, digest", s->chunks, began);
	must(count == s->chunks, "the sorted list has not as many ids as were put in", NULL);
	list_digest(s, 0, plain);
	must(memcmp(sorted, plain, DIGEST_LEN) == 0, "the sorted list is not the list", NULL);
	id_sorter_free(sorter);
	refs_digest_free(d);
	return SORTER_MEMORY + ALL_ELSE;
}

/* The digest of every snapshot's list, each a thousandth other than the one before. */
static size_t
part_digests(const struct scale *s)
{
	uint8_t last[DIGEST_LEN] = { 0 }, digest[DIGEST_LEN];
	double began = now();

	for (uint64_t i = 0; i < s->snapshots; i++) {
		list_digest(s, i, digest);
		must(memcmp(last, digest, DIGEST_LEN) != 0, "two lists that differ have one digest", NULL);
		memcpy(last, digest, DIGEST_LEN);
	}
	said("digests of all snapshots' lists", s->snapshots * s->chunks, began);
	return ALL_ELSE;
}

/* --- a vault's chunk index --- */

/* One more pack, as an ingest writes it down. */
static void
pack_add(struct catalog *c, struct cat_copy *copies, size_t n)
{
	struct cat_pack p = { .copy = 1, .count = (uint32_t)n, .state = PACK_GOOD };
	struct err e;

	err_clear(&e);
	must((p.n = catalog_pack_number(c, &e)) >= 0, "number", &e);
	le64_put(p.id, mixed((uint64_t)p.n));
	le64_put(p.id + 8, (uint64_t)p.n);
	memcpy(p.domain_id, domain, sizeof(p.domain_id));
	memcpy(p.maker, writer, sizeof(p.maker));
	memcpy(p.owner, writer, sizeof(p.owner));
	p.len = (int64_t)n * 65536;
	must(catalog_put(c, &cat_packs, &p, &e) == 0 && chunks_add(c, domain, p.n, copies, n, &e) == 0, "add", &e);
}

/* Add what is new in a snapshot, in packs as they would come: in the order of the walk. */
static uint64_t
catalog_take(const struct scale *s, struct catalog *c, uint64_t snapshot)
{
	uint64_t step = step_over(s->chunks), k = 0, added = 0;
	struct cat_copy copies[IN_PACK];
	size_t n = 0;
	struct err e;

	err_clear(&e);
	must(catalog_begin(c, 1, &e) == 0, "begin", &e);
	for (uint64_t i = 0; i <= s->chunks; i++) {
		if (n == IN_PACK || (i == s->chunks && n > 0)) {
			pack_add(c, copies, n);
			added += n;
			n = 0;
			if (added % (IN_PACK * 4096) == 0)
				must(catalog_commit(c, &e) == 0 && catalog_begin(c, 1, &e) == 0, "commit", &e);
		}
		if (i == s->chunks)
			break;
		if (snapshot == 0 || version_at(k, snapshot) != version_at(k, snapshot - 1)) {
			id_of(s, k, version_at(k, snapshot), copies[n].id);
			memcpy(copies[n++].writer, writer, ID_LEN);
		}
		k = (k + step) % s->chunks;
	}
	must(catalog_commit(c, &e) == 0, "commit", &e);
	return added;
}

/* Ask for the whole list of a snapshot, in order; all must be there. */
static void
catalog_ask(const struct scale *s, struct catalog *c, uint64_t snapshot)
{
	uint8_t ids[BATCH][DIGEST_LEN], states[BATCH];
	size_t n = 0;
	struct err e;

	err_clear(&e);
	for (uint64_t k = 0; k < s->chunks; k++) {
		id_of(s, k, version_at(k, snapshot), ids[n++]);
		if (n < BATCH && k + 1 < s->chunks)
			continue;
		must(chunks_find(c, domain, NULL, &ids[0][0], n, states, &e) == 0, "find", &e);
		for (size_t i = 0; i < n; i++)
			must(states[i] == COPY_GOOD, "a chunk that was added is not found", NULL);
		n = 0;
	}
}

static size_t
part_catalog(const struct scale *s)
{
	char path[sizeof(s->path) + 16];
	struct catalog *c;
	struct stat st;
	uint64_t added, count;
	double began = now();
	struct err e;

	err_clear(&e);
	(void)snprintf(path, sizeof(path), "%s/catalog.db", s->path);
	c = catalog_open(path, vault, 1, &e);
	must(c != NULL, "catalog", &e);
	added = catalog_take(s, c, 0);
	said("add the first snapshot's chunks", added, began);
	began = now();
	catalog_ask(s, c, 0);
	said("find its whole list", s->chunks, began);
	began = now();
	for (uint64_t i = 1; i < s->snapshots; i += s->snapshots / 8 + 1)
		added += catalog_take(s, c, i);
	said("add what changed in up to 8 snapshots", added - s->chunks, began);
	must(chunks_count(c, &count, &e) == 0 && count == added, "the catalog has not what was put in", &e);
	catalog_close(c);
	must(stat(path, &st) == 0, "catalog.db", NULL);
	(void)printf("  %.1f bytes a chunk on disk\n", (double)st.st_size / (double)added);
	must(catalog_remove(path, &e) == 0, "remove", &e);
	/* A cache of 64 MiB, and what a merge of 16 million rows takes beside it. */
	return ((size_t)192 << 20) + ALL_ELSE;
}

/* --- what a machine's packs take --- */

#define QUESTIONS	1000u

/* A pack for every twenty chunks: what asking costs that each upload asks, and whether it is exact. */
static size_t
part_quota(const struct scale *s)
{
	uint64_t packs = s->chunks / 20, sum = 0, used = 0, pick;
	char path[sizeof(s->path) + 16];
	struct catalog *c;
	double began = now();
	struct err e;

	err_clear(&e);
	(void)snprintf(path, sizeof(path), "%s/catalog.db", s->path);
	must((c = catalog_open(path, vault, 1, &e)) != NULL && catalog_begin(c, 1, &e) == 0, "catalog", &e);
	for (uint64_t i = 0; i < packs + packs / 4; i++) {
		/* Every fifth takes the place of one that was there. */
		struct cat_pack p = { .copy = 1, .count = 1, .state = PACK_GOOD, .n = (int64_t)i + 1 };

		pick = i < packs ? i : (i - packs) * 4;
		if (i >= packs)
			p.n = (int64_t)pick + 1;
		le64_put(p.id, mixed(pick));
		le64_put(p.id + 8, pick);
		memcpy(p.owner, writer, sizeof(p.owner));
		p.len = (int64_t)(mixed(pick + i) % 16000000);
		sum += (uint64_t)p.len;
		if (i >= packs)
			sum -= mixed(pick + pick) % 16000000;
		must(catalog_put(c, &cat_packs, &p, &e) == 0, "pack", &e);
	}
	must(catalog_commit(c, &e) == 0, "commit", &e);
	said("write down packs", packs + packs / 4, began);
	began = now();
	for (unsigned i = 0; i < QUESTIONS; i++)
		must(catalog_used(c, writer, &used, &e) == 0 && used == sum, "what the packs take is not what they take", &e);
	said("ask what they take", QUESTIONS, began);
	catalog_close(c);
	must(catalog_remove(path, &e) == 0, "remove", &e);
	return ((size_t)96 << 20) + ALL_ELSE;
}

/* --- */

static const struct part {
	const char *name, *what;
	size_t (*run)(const struct scale *s);	/* returns how much memory it may have taken */
} parts[] = {
	{ "index", "duplicate index, in memory", part_index },
	{ "runs", "duplicate index, past its share of memory", part_runs },
	{ "lists", "reference list of a build", part_lists },
	{ "digests", "digests of reference lists", part_digests },
	{ "catalog", "chunk index of a vault", part_catalog },
	{ "quota", "what a machine's packs take", part_quota },
};

static int
part_run(const struct scale *s, const struct part *p)
{
	struct rusage use;
	size_t limit;
	int fds[2], status;
	pid_t pid;

	(void)printf("%s\n", p->what);
	(void)fflush(stdout);
	must(pipe(fds) == 0, "pipe", NULL);
	must((pid = fork()) != -1, "cannot start a process", NULL);
	if (pid == 0) {
		limit = p->run(s);
		must(write(fds[1], &limit, sizeof(limit)) == (ssize_t)sizeof(limit), "pipe", NULL);
		exit(0);
	}
	(void)close(fds[1]);
	if (read(fds[0], &limit, sizeof(limit)) != (ssize_t)sizeof(limit))
		limit = 0;
	(void)close(fds[0]);
	must(wait4(pid, &status, 0, &use) == pid, "wait", NULL);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return 1;
	(void)printf("  %.0f MB of memory at most, %.0f allowed\n", (double)use.ru_maxrss * 1024 / 1e6, (double)limit / 1e6);
	/* Sanitizers take memory of their own. */
	if (!SAMARA_SANITIZED && (size_t)use.ru_maxrss * 1024 > limit) {
		(void)fprintf(stderr, "scale: %s: too much memory\n", p->what);
		return 1;
	}
	return 0;
}

static void
arguments(struct scale *s, int argc, char **argv)
{
	*s = (struct scale){ .chunks = 1000000, .snapshots = 10, .in = "/tmp" };
	for (int i = 1; i < argc; i += 2) {
		must(i + 1 < argc, "every option takes a value; see the top of scale.c", NULL);
		if (strcmp(argv[i], "--chunks") == 0)
			s->chunks = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--snapshots") == 0)
			s->snapshots = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--memory") == 0)
			s->memory = (size_t)strtoull(argv[i + 1], NULL, 10) << 20;
		else if (strcmp(argv[i], "--only") == 0)
			s->only = argv[i + 1];
		else if (strcmp(argv[i], "--in") == 0)
			s->in = argv[i + 1];
		else
			fail("options are --chunks --snapshots --memory --only --in", NULL);
	}
	must(s->chunks >= 1000 && s->chunks < UINT64_C(1) << 40, "--chunks is 1000 or more", NULL);
	/* So that there are about six runs at any size. */
	if (s->memory == 0)
		s->memory = (size_t)s->chunks * 24 / 6 + ((size_t)64 << 10);
}

int
main(int argc, char **argv)
{
	struct scale s;
	int rc = 0;

	arguments(&s, argc, argv);
	(void)snprintf(s.path, sizeof(s.path), "%.4000s/samara-scale-XXXXXX", s.in);
	must(mkdtemp(s.path) != NULL && (s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) != -1, "no scratch directory", NULL);
	(void)printf("%llu chunks, %llu snapshots\n", (unsigned long long)s.chunks, (unsigned long long)s.snapshots);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (s.only == NULL || strcmp(s.only, parts[i].name) == 0)
			rc |= part_run(&s, &parts[i]);
	(void)close(s.fd);
	if (rmdir(s.path) != 0)
		(void)fprintf(stderr, "scale: %s is left\n", s.path);
	return rc;
}
