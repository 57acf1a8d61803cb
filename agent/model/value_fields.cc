// SPDX-License-Identifier: Apache-2.0
// Reads a value's members through nlohmann's event parser: no tree, no exception, each string moved
// once. Runs on the thread of whoever decodes; keeps nothing between calls.
#include "model/value_fields.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace rosterd {
namespace {

enum class Field {
  kUnknown,
  kHost,
  kPort,
  kAddr,
  kWeight,
  kState,
  kNode,
  kZone,
  kAgent,
  kTags,
  kEndpoints,
  kMetadata,
  kMeta,
};

Field FieldOf(std::string_view name) {
  static constexpr std::pair<std::string_view, Field> kNames[] = {
      {"host", Field::kHost},           {"port", Field::kPort},         {"Addr", Field::kAddr},
      {"weight", Field::kWeight},       {"state", Field::kState},       {"node", Field::kNode},
      {"zone", Field::kZone},           {"agent", Field::kAgent},       {"tags", Field::kTags},
      {"endpoints", Field::kEndpoints}, {"Metadata", Field::kMetadata}, {"meta", Field::kMeta},
  };
  for (const auto& [text, field] : kNames) {
    if (text == name) return field;
  }
  return Field::kUnknown;
}

// The event handler. Level 1 is the value itself, level 2 its lists and its metadata; what is
// deeper counts only inside the metadata, where it is kept as text.
class FieldReader {
 public:
  using Kind = ValueFields::Kind;

  bool null() { return Scalar("null", Kind::kMissing, 0); }
  bool boolean(bool value) { return Scalar(value ? "true" : "false", Kind::kWrong, 0); }
  bool number_integer(int64_t value) { return Scalar(std::to_string(value), Kind::kWrong, 0); }
  bool number_unsigned(uint64_t value) {
    const bool usable = value <= 65535;
    return Scalar(std::to_string(value), usable ? Kind::kUsable : Kind::kWrong,
                  usable ? static_cast<uint16_t>(value) : uint16_t{0});
  }
  bool number_float(double, const std::string& text) { return Scalar(text, Kind::kWrong, 0); }
  bool binary(nlohmann::json::binary_t&) { return false; }

  bool string(std::string& value) {
    if (level_ == 1) {
      SetMember(Kind::kWrong, 0);
      if (ValueFields::Text* text = TextOf(field_)) {
        text->kind = Kind::kUsable;
        text->text = std::move(value);
      }
    } else if (level_ == 2 && list_ != nullptr) {
      list_->push_back(std::move(value));
    } else if (level_ == 2 && map_ != nullptr) {
      (*map_)[member_] = std::move(value);
    } else if (map_ != nullptr) {
      Separate();
      AppendJsonString(nested_, value);
    }
    return true;
  }

  bool key(std::string& name) {
    if (level_ == 1) {
      field_ = FieldOf(name);
    } else if (level_ == 2 && map_ != nullptr) {
      member_ = std::move(name);
    } else if (map_ != nullptr) {
      Separate();
      AppendJsonString(nested_, name);
      nested_ += ':';
    }
    return true;
  }

  bool start_object(size_t) { return Open('{'); }
  bool start_array(size_t) { return Open('['); }
  bool end_object() { return Close('}'); }
  bool end_array() { return Close(']'); }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) {
    const bool encoding = std::string_view(error.what()).find("UTF-8") != std::string_view::npos;
    problem_ =
        (encoding ? "not UTF-8 at byte " : "not valid JSON at byte ") + std::to_string(position);
    return false;
  }

  const std::string& problem() const { return problem_; }
  ValueFields Take() {
    fields_.meta = std::move(has_metadata_ ? metadata_ : meta_);
    return std::move(fields_);
  }

 private:
  bool Scalar(std::string_view text, Kind kind, uint16_t number) {
    if (level_ == 1) {
      SetMember(kind, number);
    } else if (level_ == 2 && map_ != nullptr) {
      (*map_)[member_] = text;
    } else if (map_ != nullptr) {
      Separate();
      nested_ += text;
    }
    return true;
  }

  bool Open(char bracket) {
    if (++level_ > JsonLimits().max_depth) {
      problem_ = "nested deeper than " + std::to_string(JsonLimits().max_depth) + " levels";
      return false;
    }
    if (level_ == 2) {
      SetMember(Kind::kWrong, 0);
      if (bracket == '[') {
        list_ = field_ == Field::kTags        ? &fields_.tags
                : field_ == Field::kEndpoints ? &fields_.endpoints
                                              : nullptr;
      } else {
        map_ = field_ == Field::kMetadata ? &metadata_ : field_ == Field::kMeta ? &meta_ : nullptr;
        if (field_ == Field::kMetadata) has_metadata_ = true;
      }
    } else if (level_ > 2 && map_ != nullptr) {
      if (level_ == 3) nested_.clear();
      Separate();
      nested_ += bracket;
    }
    return true;
  }

  bool Close(char bracket) {
    if (level_ == 2) {
      list_ = nullptr;
      map_ = nullptr;
    } else if (level_ > 2 && map_ != nullptr) {
      nested_ += bracket;
      if (level_ == 3) (*map_)[member_] = nested_;
    }
    --level_;
    return true;
  }

  // A member begins: forgets what an earlier one of the same name said.
  void SetMember(Kind kind, uint16_t number) {
    if (ValueFields::Text* text = TextOf(field_)) {
      *text = {kind == Kind::kMissing ? Kind::kMissing : Kind::kWrong, ""};
    } else if (field_ == Field::kPort) {
      fields_.port = {kind, number};
    } else if (field_ == Field::kWeight) {
      fields_.weight = {kind, number};
    } else if (field_ == Field::kTags) {
      fields_.tags.clear();
    } else if (field_ == Field::kEndpoints) {
      fields_.endpoints.clear();
    } else if (field_ == Field::kMetadata) {
      metadata_.clear();
      has_metadata_ = false;
    } else if (field_ == Field::kMeta) {
      meta_.clear();
    }
  }

  ValueFields::Text* TextOf(Field field) {
    switch (field) {
      case Field::kHost:
        return &fields_.host;
      case Field::kAddr:
        return &fields_.addr;
      case Field::kState:
        return &fields_.state;
      case Field::kNode:
        return &fields_.node;
      case Field::kZone:
        return &fields_.zone;
      case Field::kAgent:
        return &fields_.agent;
      default:
        return nullptr;
    }
  }

  // A string never ends in one of these three, so the last byte tells where we stand.
  void Separate() {
    if (!nested_.empty() && nested_.back() != '{' && nested_.back() != '[' &&
        nested_.back() != ':') {
      nested_ += ',';
    }
  }

  ValueFields fields_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, std::string> meta_;  // counts only without a Metadata object
  bool has_metadata_ = false;
  std::string problem_;

  int level_ = 0;
  Field field_ = Field::kUnknown;                      // of level 1
  std::vector<std::string>* list_ = nullptr;           // level 2 is this list, or
  std::map<std::string, std::string>* map_ = nullptr;  // this object, or neither: skipped
  std::string member_;                                 // of *map_
  std::string nested_;                                 // what is deeper, as text
};

}  // namespace

absl::StatusOr<ValueFields> ReadValueFields(std::string_view json) {
  // nlohmann takes a NUL for the end of the text and would not read what follows.
  if (const size_t nul = json.find('\0'); nul != std::string_view::npos) {
    return absl::InvalidArgumentError("not valid JSON at byte " + std::to_string(nul + 1));
  }
  FieldReader reader;
  if (!nlohmann::json::sax_parse(json, &reader)) {
    return absl::InvalidArgumentError(reader.problem());
  }
  return reader.Take();
}

}  // namespace rosterd
