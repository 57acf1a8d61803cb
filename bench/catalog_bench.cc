// SPDX-License-Identifier: Apache-2.0
// What the catalog costs, without etcd: one change among many services, a list in which nothing
// changed, and memory per instance. Prints; decides nothing.
//   catalog_bench [SERVICES [INSTANCES-OF-EACH]]
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "catalog/catalog_builder.h"
#include "model/instance.h"

namespace {

using rosterd::CatalogBuilder;
using Clock = std::chrono::steady_clock;

constexpr char kPrefix[] = "/services/";

double MicrosSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

size_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

rosterd::etcd::KeyValue MakeKv(int service, int instance, int64_t revision) {
  char name[32], node[32], host[32];
  std::snprintf(name, sizeof name, "my-service-%05d", service);
  std::snprintf(node, sizeof node, "web-%02d", instance);
  std::snprintf(host, sizeof host, "10.%d.%d.%d", service / 250, service % 250, instance + 1);
  rosterd::Instance made;
  made.service = name;
  made.id = made.service + "-" + node + "-8080";
  made.host = host;
  made.port = 8080;
  made.tags = {"v1"};
  made.meta = {{"version", "1.4.2"}};
  made.endpoints = {"http://" + made.host + ":8080"};
  made.node = node;
  made.zone = "eu-1a";
  made.agent = "6f1c2d8e-5b0a-4c9d-9e7f-0123456789ab";
  return {rosterd::FormatKey(kPrefix, made.service, made.id),
          rosterd::EncodeInstance(made),
          revision,
          revision,
          1,
          0x694d1234};
}

void Print(const char* what, std::vector<double>& micros) {
  std::sort(micros.begin(), micros.end());
  std::printf("%-44s p50 %8.1f us   p99 %8.1f us\n", what, micros[micros.size() / 2],
              micros[micros.size() * 99 / 100]);
}

}  // namespace

int main(int argc, char** argv) {
  const int services = argc > 1 ? std::atoi(argv[1]) : 10'000;
  const int each = argc > 2 ? std::atoi(argv[2]) : 3;
  if (services <= 0 || each <= 0) {
    std::fprintf(stderr, "catalog_bench [SERVICES [INSTANCES-OF-EACH]]\n");
    return 2;
  }
  std::vector<rosterd::etcd::KeyValue> kvs;
  int64_t revision = 1;
  for (int s = 0; s < services; ++s) {
    for (int i = 0; i < each; ++i) kvs.push_back(MakeKv(s, i, ++revision));
  }

  CatalogBuilder builder(kPrefix);
  const size_t before = HeapInUse();
  auto start = Clock::now();
  builder.ReplaceAll(kvs, revision);
  auto catalog = builder.Snapshot();
  std::printf("%-44s     %8.1f ms\n", "first list", MicrosSince(start) / 1000);
  std::printf("%-44s     %8.0f bytes\n", "memory per instance",
              static_cast<double>(HeapInUse() - before) / catalog->instances());

  std::vector<double> micros;
  for (int round = 0; round < 20; ++round) {
    start = Clock::now();
    builder.ReplaceAll(kvs, ++revision);
    catalog = builder.Snapshot();
    micros.push_back(MicrosSince(start));
  }
  Print("list without a change", micros);

  micros.clear();
  for (int round = 0; round < 5000; ++round) {
    rosterd::etcd::WatchBatch batch;
    batch.events.push_back({rosterd::etcd::WatchEvent::Kind::kPut,
                            MakeKv(round * 7919 % services, round % each, ++revision)});
    // Another value each time, so that it is read.
    batch.events[0].kv.value.append(static_cast<size_t>(round / services % 8) + 1, ' ');
    start = Clock::now();
    builder.Apply(batch);
    catalog = builder.Snapshot();
    micros.push_back(MicrosSince(start));
  }
  Print("one event, applied and in a snapshot", micros);

  const size_t with_catalog = HeapInUse();
  size_t bytes = 0;
  catalog->ForEach([&](const rosterd::ServiceEntry& entry) { bytes += entry.body().json.size(); });
  std::printf("%-44s     %8.0f bytes (%.0f of text)\n", "rendered bodies, more per instance",
              static_cast<double>(HeapInUse() - with_catalog) / catalog->instances(),
              static_cast<double>(bytes) / catalog->instances());
  return 0;
}
