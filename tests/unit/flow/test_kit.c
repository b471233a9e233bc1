#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base/secret.h"
#include "common/flow/keyring.h"
#include "common/flow/kit_file.h"
#include "flow/machine_maker.h"

static struct machine_maker m;
static struct err e;
static char *text;	/* of the kit as it was written */
static size_t len;

static int
group_start(void **state)
{
	uint8_t *bytes;

	(void)state;
	err_clear(&e);
	machine_maker_start(&m);
	m.o.kit = m.kit;
	assert_int_equal(machine_maker_register(&m, &e), 0);
	assert_int_equal(file_read(AT_FDCWD, m.kit, 65536, &bytes, &len, &e), 0);
	text = (char *)bytes;
	return 0;
}

static int
group_end(void **state)
{
	(void)state;
	free(text);
	machine_maker_end(&m);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	err_clear(&e);
	return 0;
}

/* Where line ${number} of the armour begins. */
static char *
line_at(char *t, unsigned number)
{
	char begin[8];
	char *p;

	(void)snprintf(begin, sizeof(begin), "\n%02u ", number);
	p = strstr(strstr(t, "-----BEGIN"), begin);
	assert_non_null(p);
	return p + 1;
}

static int
reads(const char *t)
{
	struct kit kit;
	uint8_t *bytes;
	int rc;

	err_clear(&e);
	rc = kit_from_text(t, strlen(t), &bytes, &kit, &e);
	if (rc == 0)
		assert_string_equal(kit.machine_name, "db1");
	free(bytes);
	return rc;
}

static void
the_page_says_whose_it_is_and_how_to_restore_and_fits_on_paper(void **state)
{
	char *copy = strdup(text), *line, *save = NULL;

	(void)state;
	assert_non_null(strstr(text, "db1"));
	assert_non_null(strstr(text, "dc-north"));
	assert_non_null(strstr(text, "https://vault.example:8741"));
	assert_non_null(strstr(text, "samara-seed restore latest --from"));
	for (line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		assert_true(strlen(line) <= 78);
		for (const char *c = line; *c != '\0'; c++)
			assert_true(*c >= ' ' && *c < 0x7f);
	}
	free(copy);
}

static void
typed_in_capitals_with_o_for_zero_and_l_for_one_it_is_read(void **state)
{
	char *copy = strdup(text);

	(void)state;
	for (char *p = line_at(copy, 1); strncmp(p, "-----END", 8) != 0; p++)
		*p = *p == '0' ? 'O' : *p == '1' ? 'l' : (char)toupper((unsigned char)*p);
	assert_int_equal(reads(copy), 0);
	free(copy);
}

static void
quoted_in_a_mail_it_is_read(void **state)
{
	char *copy = malloc(len * 3), *out = copy;

	(void)state;
	for (const char *p = text; *p != '\0'; p++) {
		if (p > strstr(text, "-----BEGIN") && *p == '\n') {
			out += sprintf(out, "\r\n> ");
			continue;
		}
		*out++ = *p;
	}
	*out = '\0';
	assert_int_equal(reads(copy), 0);
	free(copy);
}

static void
each_mistyped_character_names_its_line(void **state)
{
	char *copy = strdup(text), want[32], *p, *end;

	(void)state;
	for (unsigned number = 1; number <= 20; number += 3) {
		(void)snprintf(want, sizeof(want), "line %02u ", number);
		end = strchr(line_at(copy, number), '\n');
		for (p = line_at(copy, number) + 3; p < end; p += 4) {
			char was = *p;

			if (was == ' ')
				continue;
			*p = was == '7' ? '8' : '7';
			assert_int_equal(reads(copy), -1);
			assert_int_equal(e.code, ERR_KIT);
			if (strstr(e.msg, want) == NULL)
				fail_msg("line %u: %s", number, e.msg);
			*p = was;
		}
	}
	assert_int_equal(reads(copy), 0);
	free(copy);
}

static void
lines_that_are_missing_or_exchanged_are_noticed(void **state)
{
	char *copy = strdup(text), *four = line_at(copy, 4), *five = line_at(copy, 5), line[64];
	size_t n = (size_t)(five - four);

	(void)state;
	memcpy(line, four, n);
	memmove(four, five, n);
	memcpy(five, line, n);
	assert_int_equal(reads(copy), -1);
	assert_non_null(strstr(e.msg, "line 04"));
	memcpy(copy, text, len + 1);
	memmove(four, five, strlen(five) + 1);
	assert_int_equal(reads(copy), -1);
	assert_non_null(strstr(e.msg, "line 04"));
	memcpy(copy, text, len + 1);
	*strstr(copy, "-----END") = '\0';
	assert_int_equal(reads(copy), -1);
	assert_non_null(strstr(e.msg, "ends after line"));
	*strstr(copy, "-----BEGIN") = '\0';
	assert_int_equal(reads(copy), -1);
	assert_non_null(strstr(e.msg, "there is no line \"-----BEGIN"));
	free(copy);
}

static void
a_kit_of_parts_of_two_machines_is_refused(void **state)
{
	struct machine_maker other;
	struct kit mine, theirs, mixed;
	uint8_t *a, *b, *text2;
	size_t n;
	struct buf out;

	(void)state;
	machine_maker_start(&other);
	other.o.kit = other.kit;
	assert_int_equal(machine_maker_register(&other, &e), 0);
	assert_int_equal(file_read(AT_FDCWD, other.kit, 65536, &text2, &n, &e), 0);
	assert_int_equal(kit_from_text(text, len, &a, &mine, &e), 0);
	assert_int_equal(kit_from_text((const char *)text2, n, &b, &theirs, &e), 0);
	for (int i = 0; i < 4; i++) {
		mixed = mine;
		if (i == 0)
			mixed.slots = theirs.slots;
		if (i == 1)
			mixed.membership = theirs.membership;
		if (i == 2)
			mixed.domain_desc = theirs.domain_desc;
		if (i == 3)
			memcpy(mixed.machine_pub, theirs.machine_pub, SIGN_PUB_LEN);
		buf_init(&out);
		assert_int_equal(kit_text(&mixed, &out, &e), 0);
		buf_u8(&out, 0);
		assert_int_equal(reads((const char *)out.p), -1);
		assert_int_equal(e.code, ERR_KIT);
		buf_release(&out);
	}
	free(a);
	free(b);
	free(text2);
	machine_maker_end(&other);
}

static void
where_it_was_written_is_remembered_and_whether_that_helps(void **state)
{
	struct state *s = state_open(m.state, &e);
	char path[128], real[4096];
	struct kit_note note;
	struct stat st;
	bool inside;

	(void)state;
	assert_non_null(s);
	assert_int_equal(kit_note_read(s, &note, &e), 0);
	assert_non_null(realpath(m.kit, real));
	assert_string_equal(note.path, real);
	assert_false(note.inside);
	assert_int_equal(kit_save(s, m.kit, &inside, &e), -1);	/* it is there */
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(dir_make(s->fd, "runs/deep", 0700, &e), 0);
	(void)snprintf(path, sizeof(path), "%s/runs/deep/kit", m.state);
	assert_int_equal(kit_save(s, path, &inside, &e), 0);
	assert_true(inside);
	assert_int_equal(kit_note_read(s, &note, &e), 0);
	assert_true(note.inside);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(unlinkat(s->fd, "kit.note", 0), 0);
	assert_int_equal(kit_note_read(s, &note, &e), 1);
	state_free(s);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, start)
	const struct CMUnitTest tests[] = {
		T(the_page_says_whose_it_is_and_how_to_restore_and_fits_on_paper),
		T(typed_in_capitals_with_o_for_zero_and_l_for_one_it_is_read),
		T(quoted_in_a_mail_it_is_read),
		T(each_mistyped_character_names_its_line),
		T(lines_that_are_missing_or_exchanged_are_noticed),
		T(a_kit_of_parts_of_two_machines_is_refused),
		T(where_it_was_written_is_remembered_and_whether_that_helps),
	};

	secret_init();
	return cmocka_run_group_tests(tests, group_start, group_end);
}
