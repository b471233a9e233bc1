#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "base/capture.h"
#include "common/base/err.h"
#include "common/base/out.h"

static struct capture c;

static void
text_mode_writes_lines_and_no_objects(void **state)
{
	struct out *o;

	(void)state;
	out_json_set(0);
	capture_start(&c, 1);
	out_text("image %s sealed\n", "RM4K");
	o = out_object("image");
	assert_null(o);
	out_str(o, "name", "RM4K");
	out_end(out_item(out_list(o, "disks")));
	out_emit(o);
	assert_string_equal(capture_end(&c), "image RM4K sealed\n");
}

static void
json_mode_writes_one_object_a_line_and_no_text(void **state)
{
	struct out *o, *list, *item;

	(void)state;
	out_json_set(1);
	capture_start(&c, 1);
	out_text("image RM4K sealed\n");
	out_emit(out_object("summary"));	/* becomes the last all the same */
	o = out_object("image");
	out_name(o, "name", "\377", 1);
	out_bytes(o, "id", "\x01\x02", 2);
	list = out_list(o, "disks");
	item = out_item(list);
	out_u64(item, "bytes", 5);
	out_i64(item, "left", -1);
	out_end(item);
	out_str(list, NULL, "x");
	out_end(list);
	out_bool(o, "sealed", 1);
	out_null(o, "receipt");
	out_real(o, "ratio", 0.5);
	out_emit(o);
	assert_int_equal(out_finish(NULL), 0);
	assert_string_equal(capture_end(&c),
	    "{\"disks\":[{\"bytes\":5,\"left\":-1},\"x\"],\"id\":\"0102\",\"name\":\"\\\\xff\","
	    "\"name_hex\":\"ff\",\"ratio\":0.5,\"receipt\":null,\"sealed\":true,\"type\":\"image\"}\n"
	    "{\"type\":\"summary\"}\n");
	out_json_set(0);
}

static void
a_full_standard_output_is_an_error_at_the_end(void **state)
{
	int kept = dup(1), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct err e;
	int rc;

	(void)state;
	err_clear(&e);
	assert_int_equal(out_finish(&e), 0);
	assert_true(dup2(full, 1) == 1);
	out_text("lost\n");
	rc = out_finish(&e);
	clearerr(stdout);
	assert_true(dup2(kept, 1) == 1);
	(void)close(kept);
	(void)close(full);
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	assert_int_equal(out_finish(&e), -1);	/* and is not forgotten */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_mode_writes_lines_and_no_objects),
		cmocka_unit_test(json_mode_writes_one_object_a_line_and_no_text),
		cmocka_unit_test(a_full_standard_output_is_an_error_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
