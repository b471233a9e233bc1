#include <stdint.h>
#include "formats/fmt.h"
