#include "common/flow/serve_job.h"

const struct serve_route serve_routes_read[] = {
	{ NULL, NULL, 0, 0, NULL, NULL }
};
