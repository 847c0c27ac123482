// Tests of a pull from the list of files to a path.
#include "hub/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/hub_cache.h"
#include "hub/test_hub.h"

namespace pagoda {
namespace {

using ::testing::HasSubstr;

const std::string kCommit(40, 'c');
constexpr const char* kHello = "ce013625030ba8dba906f756967f9e9ca394464a";  // of "hello\n"

std::string listing(const std::vector<std::string>& paths) {
  std::string text = R"({"sha": ")" + kCommit + R"(", "siblings": [)";
  for (const std::string& path : paths) {
    text += (text.back() == '[' ? "" : ",") + std::string(R"({"rfilename": ")") + path +
            R"(", "size": 6, "blobId": ")" + kHello + R"("})";
  }
  return text + "]}";
}

class PullTest : public ::testing::Test {
 protected:
  PullTest() {
    config_.cache_dir = folder_ / "cache";
    limits_.first_wait = limits_.max_wait = std::chrono::milliseconds(1);
    request_.model = *parse_model_ref("org/name");
  }
  Result<PulledModel> pull(TestServer& server) {
    config_.endpoint = server.url();
    return pull_model(config_, request_, limits_, {});
  }

  TestFolder folder_;
  HubConfig config_;
  DownloadLimits limits_;
  PullRequest request_;
  std::vector<std::string> paths_ = {"config.json", "tokenizer.json", "model.safetensors"};
};

TEST_F(PullTest, BringsAModelThatIsThenFoundWithoutTheNetwork) {
  TestServer server([&](const std::string& head) {
    return http_answer("200 OK", head.starts_with("GET /api/") ? listing(paths_) : "hello\n");
  });
  EXPECT_EQ(find_cached_model(config_, request_).error().code, ErrorCode::kNotFound);
  const auto pulled = pull(server);
  ASSERT_TRUE(pulled.ok()) << pulled.error().message;
  EXPECT_EQ(pulled->commit, kCommit);
  EXPECT_EQ(pulled->num_bytes, 18);
  EXPECT_EQ(pulled->path, folder_ / ("cache/models--org--name/snapshots/" + kCommit));
  EXPECT_THAT(server.requests()[0],
              HasSubstr("GET /api/models/org/name/revision/main?blobs=true HTTP/1.1"));
  config_.offline = true;
  EXPECT_EQ(pull(server)->path, pulled->path);
  EXPECT_EQ(server.requests().size(), 2U);  // three files of one content
}

TEST_F(PullTest, AGgufModelIsItsFile) {
  TestServer server([&](const std::string& head) {
    return http_answer("200 OK", head.starts_with("GET /api/")
                                     ? listing({"m-Q4_0.gguf", "m-Q8_0.gguf"})
                                     : "hello\n");
  });
  EXPECT_THAT(pull(server).error().message, HasSubstr("m-Q4_0.gguf, m-Q8_0.gguf"));
  request_.model.quantization = "Q8_0";
  const auto pulled = pull(server);
  ASSERT_TRUE(pulled.ok()) << pulled.error().message;
  EXPECT_EQ(pulled->path, pulled->folder + "/m-Q8_0.gguf");
  EXPECT_EQ(find_cached_model(config_, request_)->path, pulled->path);
}

TEST_F(PullTest, ASnapshotThatIsNotCompleteIsNotTaken) {
  const HubCache cache(config_.cache_dir);
  ASSERT_TRUE(cache.create_repo("org/name").ok());
  ASSERT_TRUE(cache.write_ref("org/name", "main", kCommit).ok());
  write_text(cache.blob_path("org/name", kHello), "hello\n");
  const auto missing = [&](const std::vector<std::string>& paths) {
    std::filesystem::remove_all(cache.snapshot_folder("org/name", kCommit));
    for (const std::string& path : paths) {
      EXPECT_TRUE(cache.link_file("org/name", kCommit, path, kHello).ok());
    }
    const auto found = find_cached_model(config_, request_);
    return found.ok() ? std::string() : found.error().message;
  };
  EXPECT_EQ(missing({"config.json", "tokenizer.json", "model.safetensors"}), "");
  EXPECT_EQ(missing({"config.json", "tokenizer.model", "model.safetensors"}), "");
  EXPECT_THAT(missing({"config.json", "tokenizer.json"}), HasSubstr("no *.safetensors"));
  EXPECT_THAT(missing({"config.json", "model.safetensors"}), HasSubstr("no tokenizer.json"));
  EXPECT_THAT(missing({"tokenizer.json", "model.safetensors"}), HasSubstr("no config.json"));
  EXPECT_THAT(missing({"config.json", "tokenizer.json", "model-00001-of-00002.safetensors"}),
              HasSubstr("part 2"));
}

TEST_F(PullTest, AHubThatIsNotThereOrBrokenIsToldInWords) {
  std::string answer = http_answer("503 Busy", "");
  TestServer server([&](const std::string&) { return answer; });
  EXPECT_THAT(pull(server).error().message, HasSubstr("status 503"));
  EXPECT_EQ(server.requests().size(), static_cast<size_t>(limits_.max_failures) + 1);
  answer = http_answer("404 Not Found", "", "X-Error-Code: RevisionNotFound\r\n");
  EXPECT_EQ(pull(server).error().code, ErrorCode::kNotFound);
  answer = http_answer("200 OK", "<html>");
  EXPECT_THAT(pull(server).error().message, HasSubstr("list of files"));
  config_.endpoint = "http://127.0.0.1:1";
  const auto failed = pull_model(config_, request_, limits_, {});
  EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(failed.error().message, HasSubstr("http://127.0.0.1:1"));
}

TEST_F(PullTest, OfflineNothingIsAsked) {
  config_.offline = true;
  TestServer server([&](const std::string&) { return http_answer("200 OK", listing(paths_)); });
  EXPECT_THAT(pull(server).error().message, HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_TRUE(server.requests().empty());
}

}  // namespace
}  // namespace pagoda
