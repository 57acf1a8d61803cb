// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "world.h"

namespace rosterd::api::testing {
namespace {

Row Web(const std::string& id, const std::string& host, const std::string& zone,
        std::vector<std::string> tags, std::map<std::string, std::string> meta = {}) {
  Row row;
  row.instance = MakeInstance("web", id, host, 8080);
  row.instance.zone = zone;
  row.instance.tags = std::move(tags);
  row.instance.meta = std::move(meta);
  return row;
}

std::vector<Row> TwoServices() {
  std::vector<Row> rows{Web("web-1", "10.0.0.1", "eu-1a", {"v1", "blue"}, {{"version", "1"}}),
                        Web("web-2", "10.0.0.2", "eu-1b", {"v1"}, {{"version", "2"}}),
                        {MakeInstance("api", "api-1", "fd00::5", 9000)}};
  rows[0].mod_revision = 40;
  rows[1].mod_revision = 41;
  rows[2].mod_revision = 57;
  return rows;
}

const char kWeb1[] =
    R"({"id":"web-1","address":"10.0.0.1","port":8080,"weight":100,"tags":["v1","blue"],"meta":{"version":"1"},"node":"web-01","zone":"eu-1a"})";
const char kWeb2[] =
    R"({"id":"web-2","address":"10.0.0.2","port":8080,"weight":100,"tags":["v1"],"meta":{"version":"2"},"node":"web-01","zone":"eu-1b"})";

std::string WebBody(const std::string& instances) {
  return R"({"service":"web","index":41,"instances":[)" + instances + "]}";
}

World WithTwoServices() {
  World world;
  world.views.catalog = MakeCatalog(57, TwoServices());
  return world;
}

TEST_CASE("a service is shown with all its instances, sorted by id") {
  World world = WithTwoServices();
  const http::Answer answer = world.Get("/services/web");
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.route == "/services/NAME");
  CHECK(BodyOf(answer) == WebBody(std::string(kWeb1) + "," + kWeb2));
  CHECK(HeaderOf(answer, "X-Rosterd-Index") == "41");
  CHECK(HeaderOf(answer, "X-Rosterd-State") == "live");
  CHECK(HeaderOf(answer, "Age") == "1");
  CHECK(HeaderOf(answer, "ETag") == world.views.catalog->Find("web")->body().etag);
}

TEST_CASE("the bytes of a whole service are the catalog's own and outlive the catalog") {
  World world = WithTwoServices();
  const http::Answer answer = world.Get("/services/web");
  CHECK(answer.body.get() == &world.views.catalog->Find("web")->body().json);
  world.views.catalog = nullptr;
  CHECK(BodyOf(answer) == WebBody(std::string(kWeb1) + "," + kWeb2));
}

TEST_CASE("an instance with nothing set has every field") {
  World world = WithTwoServices();
  CHECK(
      BodyOf(world.Get("/services/api")) ==
      R"({"service":"api","index":57,"instances":[{"id":"api-1","address":"fd00::5","port":9000,"weight":100,"tags":[],"meta":{},"node":"web-01","zone":""}]})");
}

TEST_CASE("filters leave the instances that have all of what is asked for") {
  World world = WithTwoServices();
  const std::string both = WebBody(std::string(kWeb1) + "," + kWeb2);
  const auto filtered = [&](http::QueryParameters query) {
    const http::Answer answer = world.Get("/services/web", std::move(query));
    CHECK(answer.status == 200);
    CHECK(HeaderOf(answer, "X-Rosterd-Index") == "41");
    return BodyOf(answer);
  };
  CHECK(filtered({{"tag", "v1"}}) == both);
  CHECK(filtered({{"tag", "blue"}}) == WebBody(kWeb1));
  CHECK(filtered({{"tag", "v1"}, {"tag", "blue"}}) == WebBody(kWeb1));
  CHECK(filtered({{"tag", "v1"}, {"tag", "green"}}) == WebBody(""));
  CHECK(filtered({{"meta.version", "2"}}) == WebBody(kWeb2));
  CHECK(filtered({{"meta.version", ""}}) == WebBody(""));
  CHECK(filtered({{"meta.nothing", ""}}) == WebBody(""));
  CHECK(filtered({{"zone", "eu-1b"}}) == WebBody(kWeb2));
  CHECK(filtered({{"zone", ""}}) == WebBody(""));
  CHECK(filtered({{"zone", "eu-1a"}, {"zone", "eu-1b"}}) == WebBody(""));
  CHECK(filtered({{"tag", "v1"}, {"meta.version", "2"}, {"zone", "eu-1b"}}) == WebBody(kWeb2));
  CHECK(filtered({{"tag", "blue"}, {"zone", "eu-1b"}}) == WebBody(""));
  CHECK(filtered({{"unknown", "x"}, {"Tag", "blue"}}) == both);
}

TEST_CASE("a filter that hides nothing is answered with the same bytes and tag") {
  World world = WithTwoServices();
  const http::Answer whole = world.Get("/services/web");
  const http::Answer filtered = world.Get("/services/web", {{"tag", "v1"}});
  CHECK(filtered.body.get() == whole.body.get());
  CHECK(HeaderOf(filtered, "ETag") == HeaderOf(whole, "ETag"));
  CHECK(HeaderOf(world.Get("/services/web", {{"tag", "blue"}}), "ETag") != HeaderOf(whole, "ETag"));
}

TEST_CASE("malformed parameters are 400 with what would be right") {
  World world = WithTwoServices();
  const auto error = [&](const std::string& path, http::QueryParameters query) {
    const http::Answer answer = world.Get(path, std::move(query));
    CHECK(answer.status == 400);
    CHECK(HeaderOf(answer, "X-Rosterd-Index") == "(none)");
    return BodyOf(answer);
  };
  CHECK(error("/services/web", {{"tag", ""}}) ==
        R"({"error":"'tag' is empty; write tag=NAME, or leave it out"})");
  CHECK(error("/services/web", {{"meta.", "x"}}) ==
        R"({"error":"'meta.' has no key; write meta.KEY=VALUE"})");
  for (const std::string path : {"/services", "/services/web", "/services/unknown"}) {
    CHECK(
        error(path, {{"index", "x"}}) ==
        R"({"error":"index: 'x' is not an index; write the X-Rosterd-Index of an earlier answer, or 0"})");
    for (const char* index : {"", "-1", "-0", "+1", " 1", "1 ", "1.0", "9223372036854775808"}) {
      error(path, {{"index", index}});
    }
    for (const char* wait : {"", "5", "-5s", "5 s", "soon"}) error(path, {{"wait", wait}});
    error(path, {{"index", "0"}, {"index", "x"}});
  }
  CHECK(
      error("/services", {{"wait", "5"}}) ==
      R"({"error":"wait: '5' is not a duration; write a number with a unit of ms, s, m or h, for example 500ms, 15s or 5m"})");
  world.views.catalog = nullptr;
  error("/services/web", {{"index", "x"}});
}

TEST_CASE("filters mean nothing to the list of services") {
  World world = WithTwoServices();
  CHECK(world.Get("/services", {{"tag", ""}, {"meta.", ""}}).status == 200);
}

TEST_CASE("a query that would have to wait is refused by name, one that would not is answered") {
  World world = WithTwoServices();
  for (const std::string path : {"/services", "/services/web"}) {
    for (const char* index : {"1", "41", "9223372036854775807"}) {
      const http::Answer answer = world.Get(path, {{"index", index}, {"wait", "1s"}});
      CHECK(answer.status == 501);
      CHECK(BodyOf(answer) ==
            R"({"error":"blocking queries are not supported yet; leave out index"})");
    }
    CHECK(world.Get(path, {{"index", "5"}, {"index", "0"}}).status == 501);
    CHECK(world.Get(path, {{"index", "0"}, {"wait", "1s"}}).status == 200);
    CHECK(world.Get(path, {{"index", "000"}}).status == 200);
    CHECK(world.Get(path, {{"wait", "1h30m"}}).status == 200);
    CHECK(world.Get(path, {{"wait", "0"}}).status == 200);
  }
}

TEST_CASE("If-None-Match with the tag of today is 304 without a body") {
  World world = WithTwoServices();
  for (const std::string path : {"/services", "/services/web"}) {
    const http::Answer full = world.Get(path);
    const std::string etag = HeaderOf(full, "ETag");
    const http::Answer unchanged = world.Get(path, {}, {{"if-none-match", etag}});
    CHECK(unchanged.status == 304);
    CHECK(unchanged.body == nullptr);
    CHECK(unchanged.headers == full.headers);
    CHECK(world.Get(path, {}, {{"if-none-match", "*"}}).status == 304);
    CHECK(world.Get(path, {}, {{"if-none-match", "\"other\""}}).status == 200);
  }
}

TEST_CASE("the tag of a filtered answer is its own") {
  World world = WithTwoServices();
  const std::string etag = HeaderOf(world.Get("/services/web", {{"tag", "blue"}}), "ETag");
  CHECK(world.Get("/services/web", {{"tag", "blue"}}, {{"if-none-match", etag}}).status == 304);
  CHECK(world.Get("/services/web", {}, {{"if-none-match", etag}}).status == 200);
}

TEST_CASE("services are listed by name, with their instances counted") {
  World world = WithTwoServices();
  const http::Answer answer = world.Get("/services");
  CHECK(answer.status == 200);
  CHECK(BodyOf(answer) ==
        R"({"index":57,"services":[{"name":"api","instances":1},{"name":"web","instances":2}]})");
  CHECK(HeaderOf(answer, "X-Rosterd-Index") == "57");
  CHECK(HeaderOf(answer, "X-Rosterd-State") == "live");
  CHECK(HeaderOf(answer, "Age") == "1");
}

TEST_CASE("services without a served instance are not listed") {
  World world;
  Row unreadable{MakeInstance("broken", "b-1", "10.0.0.9", 1)};
  unreadable.readable = false;
  Row draining{MakeInstance("old", "o-1", "10.0.0.9", 1)};
  draining.instance.state = "draining";
  world.views.catalog =
      MakeCatalog(9, {unreadable, draining, {MakeInstance("web", "web-1", "10.0.0.1", 80), 7}});
  CHECK(BodyOf(world.Get("/services")).find(R"("services":[{"name":"web","instances":1}]})") !=
        std::string::npos);
}

TEST_CASE("names of foreign writers are escaped in the list") {
  World world;
  world.views.catalog = MakeCatalog(3, {{MakeInstance("a\"b\xff", "x", "10.0.0.1", 80), 3}});
  CHECK(BodyOf(world.Get("/services")) ==
        "{\"index\":3,\"services\":[{\"name\":\"a\\\"b\xEF\xBF\xBD\",\"instances\":1}]}");
}

TEST_CASE("the list of an empty catalog is empty") {
  World world;
  world.views.catalog = MakeCatalog(3, {});
  const std::string index = std::to_string(world.views.catalog->index());
  CHECK(BodyOf(world.Get("/services")) == "{\"index\":" + index + ",\"services\":[]}");
}

TEST_CASE("the list is rendered once per catalog") {
  ServiceListCache cache;
  auto first = MakeCatalog(57, TwoServices());
  const auto body = cache.Get(first);
  CHECK(cache.Get(first) == body);
  const auto second = MakeCatalog(58, {{MakeInstance("new", "n", "10.0.0.1", 80), 58}});
  first.reset();
  CHECK(cache.Get(second) != body);
  CHECK(cache.Get(second)->json == R"({"index":58,"services":[{"name":"new","instances":1}]})");
}

TEST_CASE("the cached list does not keep its catalog alive") {
  ServiceListCache cache;
  auto catalog = MakeCatalog(57, TwoServices());
  const std::weak_ptr<const Catalog> seen = catalog;
  cache.Get(catalog);
  catalog.reset();
  CHECK(seen.expired());
}

}  // namespace
}  // namespace rosterd::api::testing
