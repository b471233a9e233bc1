/*
 * What stands in for libFuzzer in an ordinary build: give every file below the
 * places named on the command line to the target, once whole and once cut at
 * each power of two.  A place that is not there is no error: not every target
 * has a corpus yet.
 */

#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX	(64L << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long runs;

/* A copy of exactly ${n} bytes, so that a sanitizer sees one byte too many. */
static void
run_exact(const uint8_t *in, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, in, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

static int
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *in;
	long n;

	if (f == NULL)
		return -1;
	if (fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 || n > INPUT_MAX || fseek(f, 0, SEEK_SET) != 0 ||
	    (in = malloc((size_t)n + 1)) == NULL) {
		(void)fclose(f);
		return -1;
	}
	if (fread(in, 1, (size_t)n, f) != (size_t)n) {
		free(in);
		(void)fclose(f);
		return -1;
	}
	(void)fclose(f);
	run_exact(in, (size_t)n);
	for (size_t cut = 0; cut < (size_t)n; cut = cut == 0 ? 1 : cut * 2)
		run_exact(in, cut);
	free(in);
	return 0;
}

static int
visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)where;
	if (type != FTW_F)
		return 0;
	if (run_file(path) == 0)
		return 0;
	(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return 1;
}

int
main(int argc, char **argv)
{
	static const uint8_t nothing[1];

	run_exact(nothing, 0);
	for (int i = 1; i < argc; i++)
		if (nftw(argv[i], visit, 16, FTW_PHYS) != 0 && errno != ENOENT)
			return 1;
	(void)printf("%lu inputs\n", runs);
	return 0;
}
