// SPDX-License-Identifier: Apache-2.0
#include "model/service_body.h"
