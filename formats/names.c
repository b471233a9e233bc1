#include "formats/names.h"

#include <stddef.h>
#include <string.h>

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
short_name_is_valid(const char *name)
{
	size_t n = strnlen(name, SHORT_LEN + 1);

	for (size_t i = 0; i < n; i++)
		if (!(name[i] >= 'A' && name[i] <= 'Z') && !is_digit(name[i]))
			return false;
	return n == SHORT_LEN;
}

bool
vault_name_is_valid(const char *name)
{
	size_t n = strnlen(name, NAME_MAX_LEN + 1);

	if (n < 2 || n > NAME_MAX_LEN || !is_letter(name[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_letter(name[i]) && !is_digit(name[i]) && name[i] != '-')
			return false;
	return true;
}

bool
machine_name_is_valid(const char *name)
{
	size_t n = strnlen(name, NAME_MAX_LEN + 1);

	if (n < 2 || n > NAME_MAX_LEN || name[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == '/')
			return false;
	return true;
}
