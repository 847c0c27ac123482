// Tests of the cache folder.
#include "hub/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/file_lock.h"
#include "hub/test_hub.h"

namespace pagoda {
namespace {

using ::testing::ElementsAre;

namespace fs = std::filesystem;

const std::string kOld(40, 'a');
const std::string kNew(40, 'b');

// Two commits that share their weights.
void fill(const HubCache& cache) {
  ASSERT_TRUE(cache.create_repo("org/name").ok());
  write_text(cache.blob_path("org/name", "etag1"), "old");
  write_text(cache.blob_path("org/name", "etag2"), "newer");
  write_text(cache.blob_path("org/name", "etag3"), "weights");
  ASSERT_TRUE(cache.link_file("org/name", kOld, "config.json", "etag1").ok());
  ASSERT_TRUE(cache.link_file("org/name", kOld, "sub/w.safetensors", "etag3").ok());
  ASSERT_TRUE(cache.link_file("org/name", kNew, "config.json", "etag2").ok());
  ASSERT_TRUE(cache.link_file("org/name", kNew, "sub/w.safetensors", "etag3").ok());
  ASSERT_TRUE(cache.write_ref("org/name", "main", kNew).ok());
  ASSERT_TRUE(cache.write_ref("org/name", "refs/pr/1", kOld).ok());
}

TEST(HubCache, LinksLeadFromSnapshotsToBlobs) {
  const TestFolder folder;
  const HubCache cache(folder.path());
  fill(cache);
  EXPECT_EQ(cache.snapshot_folder("org/name", kOld),
            folder / ("models--org--name/snapshots/" + kOld));
  EXPECT_EQ(fs::read_symlink(cache.snapshot_folder("org/name", kOld) + "/sub/w.safetensors"),
            "../../../blobs/etag3");
  EXPECT_EQ(read_text(cache.snapshot_folder("org/name", kOld) + "/sub/w.safetensors"), "weights");
  EXPECT_EQ(read_text(folder / "models--org--name/refs/main"), kNew);
  EXPECT_THAT(cache.snapshot_files("org/name", kOld),
              ElementsAre("config.json", "sub/w.safetensors"));
  EXPECT_EQ(cache.snapshot_file_bytes("org/name", kOld, "config.json"), 3);
}

TEST(HubCache, RevisionsLeadToCommits) {
  const TestFolder folder;
  const HubCache cache(folder.path());
  fill(cache);
  EXPECT_EQ(cache.find_commit("org/name", "main"), kNew);
  EXPECT_EQ(cache.find_commit("org/name", "refs/pr/1"), kOld);
  EXPECT_EQ(cache.find_commit("org/name", kOld), kOld);
  EXPECT_EQ(cache.find_commit("org/name", "v2"), std::nullopt);
  write_text(folder / "models--org--name/refs/bad", "../../../etc");
  EXPECT_EQ(cache.find_commit("org/name", "bad"), std::nullopt);
}

TEST(HubCache, AFileWhoseBlobIsGoneIsNotThere) {
  const TestFolder folder;
  const HubCache cache(folder.path());
  fill(cache);
  fs::remove(cache.blob_path("org/name", "etag1"));
  EXPECT_THAT(cache.snapshot_files("org/name", kOld), ElementsAre("sub/w.safetensors"));
  EXPECT_EQ(cache.snapshot_file_bytes("org/name", kOld, "config.json"), std::nullopt);
}

TEST(HubCache, NothingIsMadeThroughALink) {
  const TestFolder folder;
  const HubCache cache(folder / "cache");
  fill(cache);
  fs::create_directory(folder / "outside");
  fs::create_directory_symlink(folder / "outside", cache.snapshot_folder("org/name", kOld) + "/x");
  EXPECT_FALSE(cache.link_file("org/name", kOld, "x/y.json", "etag1").ok());
  EXPECT_TRUE(fs::is_empty(folder / "outside"));
  // A file where a folder should be.
  EXPECT_FALSE(cache.link_file("org/name", kOld, "config.json/y", "etag1").ok());
}

TEST(HubCache, ListsEachCommitWithItsNames) {
  const TestFolder folder;
  const HubCache cache(folder.path());
  EXPECT_TRUE(cache.list().empty());
  fill(cache);
  write_text(folder / "models--org--begun/blobs/x.pagoda.incomplete", "abc");
  fs::create_directory(folder / "datasets--org--name");
  write_text(folder / "models--..--x/snapshots/y/z", "not a name");
  const auto models = cache.list();
  ASSERT_EQ(models.size(), 3U);
  EXPECT_EQ(models[0].repo, "org/begun");
  EXPECT_EQ(models[0].commit, "");
  EXPECT_EQ(models[1].repo, "org/name");
  EXPECT_EQ(models[1].commit, kOld);
  EXPECT_THAT(models[1].revisions, ElementsAre("refs/pr/1"));
  EXPECT_EQ(models[1].num_bytes, 10);
  EXPECT_THAT(models[2].revisions, ElementsAre("main"));
  EXPECT_EQ(models[2].num_bytes, 12);
}

TEST(HubCache, RemovingARevisionKeepsSharedBlobs) {
  const TestFolder folder;
  const HubCache cache(folder.path());
  fill(cache);
  const auto freed = cache.remove("org/name", "refs/pr/1");
  ASSERT_TRUE(freed.ok()) << freed.error().message;
  EXPECT_GT(*freed, 0);
  EXPECT_FALSE(fs::exists(cache.snapshot_folder("org/name", kOld)));
  EXPECT_FALSE(fs::exists(folder / "models--org--name/refs/refs/pr/1"));
  EXPECT_FALSE(fs::exists(cache.blob_path("org/name", "etag1")));
  EXPECT_EQ(read_text(cache.snapshot_folder("org/name", kNew) + "/sub/w.safetensors"), "weights");
  EXPECT_EQ(cache.remove("org/name", "refs/pr/1").error().code, ErrorCode::kNotFound);
  // The last one takes the folder with it.
  EXPECT_TRUE(cache.remove("org/name", "main").ok());
  EXPECT_FALSE(fs::exists(folder / "models--org--name"));
}

TEST(HubCache, RemovingLeavesWhatLinksLeadTo) {
  const TestFolder folder;
  const HubCache cache(folder / "cache");
  fill(cache);
  write_text(folder / "outside/file", "mine");
  fs::create_directory_symlink(folder / "outside", cache.snapshot_folder("org/name", kOld) + "/x");
  fs::create_symlink(folder / "outside/file", cache.blob_path("org/name", "etag9"));
  EXPECT_TRUE(cache.remove("org/name", kOld).ok());
  EXPECT_TRUE(cache.remove("org/name", std::nullopt).ok());
  EXPECT_EQ(read_text(folder / "outside/file"), "mine");
  fs::create_directory_symlink(folder / "outside", folder / "cache/models--org--link");
  EXPECT_EQ(cache.remove("org/link", std::nullopt).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(cache.remove("org/none", std::nullopt).error().code, ErrorCode::kNotFound);
}

TEST(HubCache, WhatIsBeingDownloadedIsNotRemoved) {
  const TestFolder folder;
  const HubCache cache(folder.path());
  fill(cache);
  const auto lock = FileLock::try_lock(cache.lock_path("org/name", "etag3"));
  ASSERT_TRUE(lock.ok() && *lock);
  EXPECT_EQ(cache.remove("org/name", std::nullopt).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(fs::exists(cache.blob_path("org/name", "etag3")));
}

}  // namespace
}  // namespace pagoda
