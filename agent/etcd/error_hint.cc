// SPDX-License-Identifier: Apache-2.0
#include "etcd/error_hint.h"

namespace rosterd::etcd {
namespace {

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// "Peer name 127.0.0.1 is not in peer certificate"
std::string PeerName(std::string_view text) {
  constexpr std::string_view kBefore = "Peer name ";
  const size_t begin = text.find(kBefore) + kBefore.size();
  return std::string(text.substr(begin, text.find(" is not in", begin) - begin));
}

std::string OfHandshake(std::string_view text, const HintFacts& facts) {
  const EtcdConfig::Tls& tls = facts.settings.tls;
  if (Has(text, "is not in peer certificate")) {
    const std::string name =
        "'" + PeerName(text) + "' is not in the certificate of this endpoint; ";
    return tls.server_name.empty()
               ? name + "set etcd.tls.server_name to a name that is, or name the endpoint so"
               : name + "correct etcd.tls.server_name";
  }
  if (Has(text, "certificate verify failed")) {
    return tls.ca.empty() ? "no authority that this system knows signed the certificate of this "
                            "endpoint, or it has expired; set etcd.tls.ca to the file of the one "
                            "that did"
                          : "no authority in etcd.tls.ca ('" + tls.ca +
                                "') signed the certificate of this endpoint, or it has expired; "
                                "set etcd.tls.ca to the file of the one that did";
  }
  const bool closed = Has(text, "Socket closed") || Has(text, "Endpoint read failed");
  if (facts.answered_before || (!closed && !(facts.https && Has(text, "Connection reset")))) {
    return "";
  }
  if (!facts.https) {
    return "the endpoint closes the connection at once; if it speaks TLS, write https:// in "
           "etcd.endpoints";
  }
  return tls.cert.empty()
             ? "etcd probably asks for a client certificate: set etcd.tls.cert and etcd.tls.key; "
               "or the endpoint does not speak TLS: write http:// in etcd.endpoints"
             : "etcd probably does not accept the client certificate in etcd.tls.cert ('" +
                   tls.cert +
                   "': it has expired, or its authority is not etcd's --trusted-ca-file); or the "
                   "endpoint does not speak TLS: write http:// in etcd.endpoints";
}

std::string OfPermission(const HintFacts& facts) {
  const EtcdConfig& settings = facts.settings;
  const std::string who = settings.username.empty() ? "the user that the client certificate names"
                                                    : "etcd's user '" + settings.username + "'";
  return who + " may not " + (facts.writing ? "write" : "read") + " under " + settings.prefix +
         "; give it a role with readwrite permission on that prefix (etcdctl role "
         "grant-permission ROLE --prefix=true readwrite " +
         settings.prefix + ")";
}

}  // namespace

std::string HintFor(ErrorClass error_class, std::string_view text, const HintFacts& facts) {
  const EtcdConfig& settings = facts.settings;
  switch (error_class) {
    case ErrorClass::kUnavailable:
      return OfHandshake(text, facts);
    case ErrorClass::kUnauthenticated:
      if (!settings.username.empty()) return "";  // the session sees to it
      return "etcd asks for a user and none is configured; set etcd.username and "
             "etcd.password_file";
    case ErrorClass::kDenied:
      if (!Has(text, "authentication failed")) return OfPermission(facts);
      return "wrong user or password; correct etcd.username ('" + settings.username +
             "') or the password in etcd.password_file ('" + settings.password_file + "')";
    default:
      return "";
  }
}

bool SaysAuthIsOff(const Error& error) { return Has(error.text, "authentication is not enabled"); }

}  // namespace rosterd::etcd
