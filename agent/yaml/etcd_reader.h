// SPDX-License-Identifier: Apache-2.0
// The section `etcd`: endpoints, prefix, lease and what proves who we are. Looks whether the files
// it names can be read; reads none of them.
#pragma once

#include "model/config.h"
#include "yaml/check_reader.h"
#include "yaml/document.h"

namespace rosterd::yaml {

// What is wrong keeps its default. `node`: null where the section is not given.
void ReadEtcd(const Node* node, EtcdConfig& etcd, const Report& report);

}  // namespace rosterd::yaml
