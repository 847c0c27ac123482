// LinearPattern: a nondeterministic automaton of the expression, whose ordered sets of states
// become the states of a deterministic one.
#include "text/linear_pattern.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "text/character_set.h"
#include "text/pattern_parser.h"

namespace pagoda {
namespace {

// Published patterns need 50 nodes and 40 states.
constexpr size_t kMaxNodes = 2000;
constexpr size_t kMaxStates = 1000;
constexpr size_t kMaxClasses = 200;
constexpr uint64_t kMaxBuildSteps = 20'000'000;
constexpr size_t kCodePoints = 0x110000;
constexpr size_t kBlock = 256;

bool may_be_empty(const PatternNode& node) {
  const auto empty = [](const PatternNode& child) { return may_be_empty(child); };
  switch (node.kind) {
    case PatternNode::Kind::kSet: return false;
    case PatternNode::Kind::kSequence:
      return std::all_of(node.children.begin(), node.children.end(), empty);
    case PatternNode::Kind::kAlternation:
      return std::any_of(node.children.begin(), node.children.end(), empty);
    case PatternNode::Kind::kRepeat: return node.min == 0 || empty(node.children[0]);
    default: return true;
  }
}

struct Node {
  enum class Kind : uint8_t { kSet, kSplit, kNextIs, kNextIsNot, kMatch };
  Kind kind = Kind::kMatch;
  uint32_t set = 0;
  uint32_t next = 0;         // kSplit: preferred
  uint32_t alternative = 0;  // kSplit
};

// Thompson's construction, from the end to the start. Node 0 is the match.
class Machine {
 public:
  // False when it grows too large or repeats what may be empty.
  bool build(const PatternNode& root) {
    nodes_.assign(1, Node{});
    start_ = add(root, 0);
    return !failed_;
  }
  const std::vector<Node>& nodes() const { return nodes_; }
  uint32_t start() const { return start_; }

 private:
  uint32_t push(const Node& node) {
    if (nodes_.size() >= kMaxNodes) failed_ = true;
    if (failed_) return 0;
    nodes_.push_back(node);
    return static_cast<uint32_t>(nodes_.size() - 1);
  }
  uint32_t split(uint32_t first, uint32_t second) {
    return push({.kind = Node::Kind::kSplit, .next = first, .alternative = second});
  }

  // The node from which `node` leads to `next`.
  uint32_t add(const PatternNode& node, uint32_t next) {
    if (failed_) return 0;
    const auto set = static_cast<uint32_t>(node.set);
    switch (node.kind) {
      case PatternNode::Kind::kSet: return push({Node::Kind::kSet, set, next, 0});
      case PatternNode::Kind::kNextIs: return push({Node::Kind::kNextIs, set, next, 0});
      case PatternNode::Kind::kNextIsNot: return push({Node::Kind::kNextIsNot, set, next, 0});
      case PatternNode::Kind::kRepeat: return repeat(node, next);
      case PatternNode::Kind::kSequence:
        for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
          next = add(*child, next);
        }
        return next;
      case PatternNode::Kind::kAlternation: break;
    }
    uint32_t choice = add(node.children.back(), next);
    for (size_t i = node.children.size() - 1; i-- > 0;) {
      choice = split(add(node.children[i], next), choice);
    }
    return choice;
  }

  uint32_t repeat(const PatternNode& node, uint32_t next) {
    const PatternNode& child = node.children[0];
    const bool forever = node.max == PatternNode::kForever;
    if (may_be_empty(child) && (forever || node.max > 1)) failed_ = true;
    int copies = node.min;
    uint32_t from = next;
    if (forever) {
      const uint32_t loop = split(0, 0);
      const uint32_t body = add(child, loop);
      if (failed_) return 0;
      nodes_[loop].next = node.lazy ? next : body;
      nodes_[loop].alternative = node.lazy ? body : next;
      from = copies > 0 ? body : loop;  // the last obligatory copy is the loop's own
      copies = std::max(0, copies - 1);
    } else {
      for (int i = node.min; i < node.max && !failed_; ++i) {
        const uint32_t body = add(child, from);
        from = node.lazy ? split(next, body) : split(body, next);
      }
    }
    for (int i = 0; i < copies && !failed_; ++i) from = add(child, from);
    return from;
  }

  std::vector<Node> nodes_;
  uint32_t start_ = 0;
  bool failed_ = false;
};

}  // namespace

// Makes the table.
class LinearPattern::Builder {
 public:
  Builder(LinearPattern& out, const ParsedPattern& parsed) : out_(out), sets_(parsed.sets) {}

  bool build(const Machine& machine) {
    if (!number_classes()) return false;
    nodes_ = &machine.nodes();
    state_of({});  // kDead
    state_of({machine.start()});
    for (size_t state = 0; state < states_.size(); ++state) {
      for (size_t cls = 0; cls < out_.num_classes_; ++cls) {
        const Next next = step(states_[state], cls);
        if (states_.size() > kMaxStates || steps_ > kMaxBuildSteps) return false;
        out_.table_.push_back(next);
      }
    }
    return true;
  }

 private:
  // Characters that the same sets hold are one class.
  bool number_classes() {
    std::map<char32_t, std::vector<size_t>> changes;  // at a code point these sets begin or end
    changes[0] = {};
    for (size_t set = 0; set < sets_.size(); ++set) {
      for (const CharacterSet::Range& range : sets_[set].ranges()) {
        changes[range.first].push_back(set);
        changes[range.last + 1].push_back(set);
      }
    }
    changes[kCodePoints];
    std::map<std::vector<bool>, uint8_t> known;
    std::vector<bool> members(sets_.size());
    class_members_.assign(1, members);  // the end of the text is in no set
    std::vector<uint8_t> classes(kCodePoints);
    for (auto change = changes.begin(); change->first < kCodePoints; ++change) {
      for (const size_t set : change->second) members[set] = !members[set];
      const auto [entry, added] = known.emplace(members, class_members_.size());
      if (added) class_members_.push_back(members);
      if (class_members_.size() > kMaxClasses) return false;
      std::fill(classes.begin() + change->first, classes.begin() + std::next(change)->first,
                entry->second);
    }
    out_.num_classes_ = class_members_.size();
    std::copy(classes.begin(), classes.begin() + 128, out_.ascii_.begin());
    compress(classes);
    return true;
  }

  void compress(const std::vector<uint8_t>& classes) {
    std::unordered_map<std::string, uint16_t> known;
    for (size_t at = 0; at < kCodePoints; at += kBlock) {
      const auto begin = classes.begin() + static_cast<std::ptrdiff_t>(at);
      const auto [block, added] =
          known.emplace(std::string(begin, begin + kBlock), static_cast<uint16_t>(known.size()));
      if (added) out_.block_classes_.insert(out_.block_classes_.end(), begin, begin + kBlock);
      out_.blocks_.push_back(block->second);
    }
  }

  uint16_t state_of(const std::vector<uint32_t>& threads) {
    const auto [entry, added] =
        numbers_.emplace(threads, static_cast<uint16_t>(states_.size() & 0xFFFFU));
    if (added) states_.push_back(threads);
    return entry->second;
  }

  // Where the threads of a state go over a character of class `cls`.
  Next step(const std::vector<uint32_t>& threads, size_t cls) {
    seen_.assign(nodes_->size(), false);
    reached_.assign(nodes_->size(), false);
    stepped_.clear();
    bool matched = false;
    for (const uint32_t thread : threads) {
      matched = follow(thread, cls);
      if (matched) break;  // what is left is preferred less
    }
    return {cls == 0 ? kDead : state_of(std::vector<uint32_t>(stepped_)), matched};
  }

  // Walks from `node` in order of preference; true when the match is reached.
  bool follow(uint32_t at, size_t cls) {
    ++steps_;
    if (seen_[at]) return false;
    seen_[at] = true;
    const Node& node = (*nodes_)[at];
    const bool member = node.kind != Node::Kind::kMatch && node.kind != Node::Kind::kSplit &&
                        class_members_[cls][node.set];
    switch (node.kind) {
      case Node::Kind::kMatch: return true;
      case Node::Kind::kSplit: return follow(node.next, cls) || follow(node.alternative, cls);
      case Node::Kind::kNextIs: return member && follow(node.next, cls);
      case Node::Kind::kNextIsNot: return !member && follow(node.next, cls);
      case Node::Kind::kSet: break;
    }
    if (member && !reached_[node.next]) {
      reached_[node.next] = true;
      stepped_.push_back(node.next);
    }
    return false;
  }

  LinearPattern& out_;
  const std::vector<CharacterSet>& sets_;
  const std::vector<Node>* nodes_ = nullptr;
  std::vector<std::vector<bool>> class_members_;  // by class: is it in the set?
  std::map<std::vector<uint32_t>, uint16_t> numbers_;
  std::vector<std::vector<uint32_t>> states_;  // threads, the preferred first
  std::vector<bool> seen_, reached_;
  std::vector<uint32_t> stepped_;
  uint64_t steps_ = 0;
};

std::unique_ptr<const LinearPattern> LinearPattern::create(std::string_view expression) {
  const auto parsed = parse_pattern(expression);
  if (!parsed || may_be_empty(parsed->root)) return nullptr;
  Machine machine;
  if (!machine.build(parsed->root)) return nullptr;
  std::unique_ptr<LinearPattern> made(new LinearPattern());
  if (!Builder(*made, *parsed).build(machine)) return nullptr;
  return made;
}

// The class of the character at `at`, which moves behind it.
inline size_t LinearPattern::class_at(std::string_view text, size_t& at) const {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t lead = byte(at);
  if (lead < 0x80) {
    ++at;
    return ascii_[lead];
  }
  uint32_t c = 0;
  if (lead < 0xE0) {
    c = ((lead & 0x1FU) << 6) | (byte(at + 1) & 0x3FU);
    at += 2;
  } else if (lead < 0xF0) {
    c = ((lead & 0xFU) << 12) | ((byte(at + 1) & 0x3FU) << 6) | (byte(at + 2) & 0x3FU);
    at += 3;
  } else {
    c = ((lead & 0x7U) << 18) | ((byte(at + 1) & 0x3FU) << 12) | ((byte(at + 2) & 0x3FU) << 6) |
        (byte(at + 3) & 0x3FU);
    at += 4;
  }
  return block_classes_[size_t{blocks_[c / kBlock]} * kBlock + c % kBlock];
}

LinearPattern::Match LinearPattern::find(std::string_view text, size_t from,
                                         uint64_t& steps) const {
  constexpr size_t kStart = 1;
  size_t start = from, behind_start = from;
  while (start < text.size()) {
    Match match;
    size_t state = kStart, at = start;
    uint64_t looked = 0;
    while (state != kDead) {
      const size_t before = at;
      const size_t cls = at < text.size() ? class_at(text, at) : 0;
      const Next next = table_[state * num_classes_ + cls];
      if (next.ends) match = {start, before, true};
      state = next.state;
      if (looked++ == 0) behind_start = at;
    }
    if (looked >= steps) {
      steps = 0;
      return {};
    }
    steps -= looked;
    if (match.found) return match;
    start = behind_start;
  }
  return {};
}

}  // namespace pagoda
