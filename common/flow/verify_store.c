#include "common/base/err.h"
#include "common/flow/verify_job.h"
