/* replay_NAME DIR...: feeds every file of the directories to the fuzz target it is linked with. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static int
feed(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	uint8_t *b;

	if (f == NULL || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
		perror(path);
		return -1;
	}
	b = fuzz_room((size_t)st.st_size);	/* exactly as long, so that a reader that goes too far is caught */
	if (fread(b, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		perror(path);
		return -1;
	}
	fclose(f);
	(void)LLVMFuzzerTestOneInput(b, (size_t)st.st_size);
	free(b);
	return 0;
}

static int
feed_all(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[1024];
	int n = 0;

	if (d == NULL) {
		perror(dir);
		return -1;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path) || feed(path) != 0) {
			closedir(d);
			return -1;
		}
		n++;
	}
	closedir(d);
	return n;
}

int
main(int argc, char **argv)
{
	int n, all = 0;

	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		if ((n = feed_all(argv[i])) < 0)
			return 1;
		all += n;
	}
	printf("%d inputs\n", all);
	return all > 0 ? 0 : 1;
}
