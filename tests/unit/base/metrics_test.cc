// SPDX-License-Identifier: Apache-2.0
// The registry and its text format.
#include "base/metrics.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

using Catch::Contains;

int Occurrences(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST_CASE("counters, gauges and histograms appear in the text format with help and type") {
  Metrics metrics;
  metrics.AddCounter("rosterd_checks_total", "Checks run.", {{"result", "ok"}}).Increment();
  metrics.AddGauge("rosterd_services", "Services known.").Set(3);
  const Histogram histogram =
      metrics.AddHistogram("rosterd_call_seconds", "Calls to etcd.", {0.01, 0.1});
  histogram.Observe(0.05);
  histogram.Observe(5);
  const std::string text = metrics.Render();
  CHECK_THAT(text, Contains("# HELP rosterd_checks_total Checks run.\n") &&
                       Contains("# TYPE rosterd_checks_total counter\n") &&
                       Contains("rosterd_checks_total{result=\"ok\"} 1\n"));
  CHECK_THAT(text, Contains("# TYPE rosterd_services gauge\n") && Contains("rosterd_services 3\n"));
  CHECK_THAT(text, Contains("rosterd_call_seconds_bucket{le=\"0.01\"} 0\n") &&
                       Contains("rosterd_call_seconds_bucket{le=\"0.1\"} 1\n") &&
                       Contains("rosterd_call_seconds_bucket{le=\"+Inf\"} 2\n") &&
                       Contains("rosterd_call_seconds_count 2\n"));
}

TEST_CASE("the same name and labels are one metric, with the first help") {
  Metrics metrics;
  const Counter first = metrics.AddCounter("rosterd_events_total", "First.");
  const Counter second = metrics.AddCounter("rosterd_events_total", "Second.");
  first.Increment();
  second.Increment(2);
  const std::string text = metrics.Render();
  CHECK_THAT(text, Contains("rosterd_events_total 3\n") && Contains("First."));
  CHECK_THAT(text, !Contains("Second."));
}

TEST_CASE("another label adds to the family, which stands once") {
  Metrics metrics;
  metrics.AddCounter("rosterd_events_total", "Events.", {{"kind", "put"}}).Increment();
  metrics.AddCounter("rosterd_events_total", "Events.", {{"kind", "delete"}}).Increment(4);
  const std::string text = metrics.Render();
  CHECK(Occurrences(text, "# TYPE rosterd_events_total") == 1);
  CHECK_THAT(text, Contains("{kind=\"put\"} 1\n") && Contains("{kind=\"delete\"} 4\n"));
}

TEST_CASE("a label's quotes and newlines are escaped") {
  Metrics metrics;
  metrics.AddGauge("rosterd_state", "State.", {{"reason", "a\"b\nc\\"}}).Set(1);
  CHECK_THAT(metrics.Render(), Contains(R"(rosterd_state{reason="a\"b\nc\\"} 1)"));
}

TEST_CASE("a handle that belongs to no registry counts nothing and does no harm") {
  Counter().Increment();
  Gauge().Set(1);
  Histogram().Observe(1);
}

TEST_CASE("two registries know nothing of each other") {
  Metrics a;
  const Metrics b;
  a.AddGauge("rosterd_only_here", "Here.").Set(1);
  CHECK_THAT(a.Render(), Contains("rosterd_only_here"));
  CHECK(b.Render().empty());
}

}  // namespace
}  // namespace rosterd
