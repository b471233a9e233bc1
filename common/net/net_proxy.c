#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/err.h"
#include "common/net/net_asking.h"

/* 1 if ${host} is ${entry} or lies below it (".example.org", "example.org", "10.0.0.1", "*"). */
static int
entry_matches(const char *host, const char *entry, size_t len)
{
	size_t hlen = strlen(host);

	if (len == 1 && entry[0] == '*')
		return 1;
	while (len > 0 && *entry == '.') {
		entry++;
		len--;
	}
	if (len == 0 || len > hlen || strncasecmp(host + hlen - len, entry, len) != 0)
		return 0;
	return len == hlen || host[hlen - len - 1] == '.';
}

static int
proxy_is_off(const char *host, const char *list)
{
	while (list != NULL && *list != '\0') {
		size_t len;

		list += strspn(list, ", \t");
		len = strcspn(list, ", \t");
		if (len > 0 && entry_matches(host, list, len))
			return 1;
		list += len;
	}
	return 0;
}

static const char *
environment(const char *lower, const char *upper)
{
	const char *v = getenv(lower);

	return v != NULL && *v != '\0' ? v : getenv(upper);
}

int
proxy_choose(const char *given, const char *host, char **out, struct err *e)
{
	const char *p = given;

	if (p == NULL && !proxy_is_off(host, environment("no_proxy", "NO_PROXY"))) {
		p = environment("https_proxy", "HTTPS_PROXY");
		if (p == NULL || *p == '\0')
			p = environment("all_proxy", "ALL_PROXY");
	}
	if (p == NULL)
		p = "";
	if (strstr(p, "://") != NULL && strncasecmp(p, "http://", 7) != 0)
		return err_set(e, ERR_USAGE, "a proxy is given as http://[user:password@]host:port");
	if ((*out = strdup(p)) == NULL)
		return err_errno(e, "the proxy");
	return 0;
}

void
proxy_name(const char *proxy, char *out, size_t cap)
{
	const char *at = strrchr(proxy, '@'), *scheme = strstr(proxy, "://");

	(void)snprintf(out, cap, "%s", at != NULL ? at + 1 : scheme != NULL ? scheme + 3 : proxy);
	out[strcspn(out, "/")] = '\0';
}
