#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/file.h"
#include "common/base/io.h"
#include "common/disk/disk_device.h"

#define USB "devices/pci0000:00/0000:00:14.0/usb1/1-2"

static char top[64];
static int sysfd;

/* A directory laid out as sysfs lays it out. */
static int
tree_make(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/samara-device-XXXXXX");
	if (mkdtemp(top) == NULL || (sysfd = dir_open(AT_FDCWD, top, NULL)) == -1)
		return -1;
	return dir_make(sysfd, "dev/block", 0755, NULL);
}

static int
tree_remove(void **state)
{
	char cmd[128];

	(void)state;
	(void)close(sysfd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd);
}

static void
put(const char *path, const void *bytes, size_t len)
{
	char dir[256];

	(void)snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(dir_make(sysfd, dir, 0755, NULL), 0);
	assert_int_equal(file_replace(sysfd, path, bytes, len, 0644, NULL), 0);
}

static void
device(const char *number, const char *path)
{
	char link[64], to[256];

	(void)snprintf(link, sizeof(link), "dev/block/%s", number);
	(void)snprintf(to, sizeof(to), "../../%s", path);
	assert_int_equal(dir_make(sysfd, path, 0755, NULL), 0);
	assert_int_equal(symlinkat(to, sysfd, link), 0);
}

static void
a_disk_tells_its_serial_number_and_so_does_its_partition(void **state)
{
	char out[DISK_SERIAL_MAX];

	(void)state;
	device("8:0", "devices/pci/ata1/block/sda");
	device("8:1", "devices/pci/ata1/block/sda/sda1");
	put("devices/pci/ata1/block/sda/device/vpd_pg80", "\0\200\0\10 WX12345", 12);
	put("devices/pci/ata1/block/sda/sda1/partition", "1\n", 2);
	assert_int_equal(disk_serial_in(sysfd, 8, 0, out), 0);
	assert_string_equal(out, "WX12345");
	assert_int_equal(disk_serial_in(sysfd, 8, 1, out), 0);
	assert_string_equal(out, "WX12345");
}

static void
an_nvme_and_a_virtual_disk_have_it_in_a_file_beside_them(void **state)
{
	char out[DISK_SERIAL_MAX];

	(void)state;
	device("259:0", "devices/pci/nvme/nvme0/nvme0n1");
	put("devices/pci/nvme/nvme0/nvme0n1/device/serial", "S4EVNX0R   \n", 12);
	device("254:0", "devices/pci/virtio1/block/vda");
	put("devices/pci/virtio1/block/vda/serial", "first", 5);
	assert_int_equal(disk_serial_in(sysfd, 259, 0, out), 0);
	assert_string_equal(out, "S4EVNX0R");
	assert_int_equal(disk_serial_in(sysfd, 254, 0, out), 0);
	assert_string_equal(out, "first");
}

static void
a_usb_disk_has_it_at_the_plug_and_never_the_one_of_the_hub(void **state)
{
	char out[DISK_SERIAL_MAX];

	(void)state;
	put("devices/pci0000:00/0000:00:14.0/usb1/serial", "0000:00:14.0\n", 13);
	put(USB "/idVendor", "0bc2\n", 5);
	device("8:16", USB "/1-2:1.0/host2/2:0:0:0/block/sdb");
	assert_int_equal(disk_serial_in(sysfd, 8, 16, out), -1);
	assert_string_equal(out, "");
	put(USB "/serial", "NA7XQ0\n", 7);
	assert_int_equal(disk_serial_in(sysfd, 8, 16, out), 0);
	assert_string_equal(out, "NA7XQ0");
}

static void
what_is_no_number_is_not_taken_for_one(void **state)
{
	static const char *const bad[] = { "", "   ", "0000000000", "a\033[2Jb", "a\nb", "\xff\xfe",
	    "1234567890123456789012345678901234567890123456789012345678901234567890" };
	char out[DISK_SERIAL_MAX];

	(void)state;
	device("8:32", "devices/pci/ata2/block/sdc");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("devices/pci/ata2/block/sdc/serial", bad[i], strlen(bad[i]));
		assert_int_equal(disk_serial_in(sysfd, 8, 32, out), -1);
		assert_string_equal(out, "");
	}
	assert_int_equal(disk_serial_in(sysfd, 99, 99, out), -1);
}

static void
the_number_of_a_mount_is_the_one_in_mountinfo(void **state)
{
	char line[4096], want[32];
	int fd, id, found = 0;
	FILE *f;

	(void)state;
	assert_true((fd = dir_open(AT_FDCWD, "/proc", NULL)) != -1);
	assert_true((id = disk_mount_id(fd)) > 0);
	(void)snprintf(want, sizeof(want), "%d ", id);
	assert_non_null(f = fopen("/proc/self/mountinfo", "r"));
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, want, strlen(want)) == 0)
			found += strstr(line, " /proc ") != NULL;
	(void)fclose(f);
	(void)close(fd);
	assert_int_equal(found, 1);
	assert_int_equal(disk_mount_id(-1), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_disk_tells_its_serial_number_and_so_does_its_partition, tree_make, tree_remove),
		cmocka_unit_test_setup_teardown(an_nvme_and_a_virtual_disk_have_it_in_a_file_beside_them, tree_make, tree_remove),
		cmocka_unit_test_setup_teardown(a_usb_disk_has_it_at_the_plug_and_never_the_one_of_the_hub, tree_make, tree_remove),
		cmocka_unit_test_setup_teardown(what_is_no_number_is_not_taken_for_one, tree_make, tree_remove),
		cmocka_unit_test(the_number_of_a_mount_is_the_one_in_mountinfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
