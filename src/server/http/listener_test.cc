// Tests of Listener.
#include "server/http/listener.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>

namespace pagoda {
namespace {

namespace fs = std::filesystem;

class SocketFolder : public testing::Test {
 protected:
  SocketFolder() {
    std::string pattern = (fs::temp_directory_path() / "pagoda_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~SocketFolder() override { fs::remove_all(folder_); }
  std::string path() const { return (folder_ / "socket").string(); }

  static int connect_to(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
    return fd;
  }

 private:
  fs::path folder_;
};

void close_it(int fd) {
  ::close(fd);
}

using UnixListener = SocketFolder;

TEST_F(UnixListener, AcceptsWithAnOwnerOnlySocketAndRemovesItAtTheEnd) {
  std::promise<int> accepted;
  auto listener =
      Listener::listen({.uds_path = path()}, [&accepted](int fd) { accepted.set_value(fd); });
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ((*listener)->url(), "unix:" + path());
  const int client = connect_to(path());
  const int server = accepted.get_future().get();
  EXPECT_GE(server, 0);
  ::close(client);
  ::close(server);
  listener->reset();
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(UnixListener, ReplacesAStaleSocketButNotALiveOne) {
  const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path().data(), path().size());
  ASSERT_EQ(::bind(stale, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  ::close(stale);
  const auto first = Listener::listen({.uds_path = path()}, close_it);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto second = Listener::listen({.uds_path = path()}, close_it);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(second.error().message.find(path()), std::string::npos);
  ::close(connect_to(path()));  // the first still listens
}

TEST_F(UnixListener, LeavesAFileThatIsNoSocketAlone) {
  std::ofstream(path()) << "precious";
  const auto listener = Listener::listen({.uds_path = path()}, close_it);
  ASSERT_FALSE(listener.ok());
  EXPECT_EQ(fs::file_size(path()), 8U);
}

TEST_F(UnixListener, RefusesAPathThatIsTooLongOrCannotBeMade) {
  const auto too_long = Listener::listen({.uds_path = std::string(200, 'x')}, close_it);
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(Listener::listen({.uds_path = path() + "/no/such"}, close_it).ok());
}

TEST(TcpListener, NamesAddressAndPortThatAreInUse) {
  const auto first = Listener::listen({.host = "127.0.0.1", .port = 0}, close_it);
  ASSERT_TRUE(first.ok());
  const int32_t port = (*first)->port();
  EXPECT_GT(port, 0);
  EXPECT_EQ((*first)->url(), "http://127.0.0.1:" + std::to_string(port));
  const auto second = Listener::listen({.host = "127.0.0.1", .port = port}, close_it);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(second.error().message.find("127.0.0.1:" + std::to_string(port)), std::string::npos)
      << second.error().message;
}

TEST(TcpListener, RefusesAPortOrHostThatCannotBe) {
  EXPECT_FALSE(Listener::listen({.host = "127.0.0.1", .port = 70000}, close_it).ok());
  EXPECT_FALSE(Listener::listen({.host = "127.0.0.1", .port = -1}, close_it).ok());
  const auto elsewhere = Listener::listen({.host = "192.0.2.1", .port = 0}, close_it);
  ASSERT_FALSE(elsewhere.ok());  // TEST-NET-1 (RFC 5737) is nobody's address
  EXPECT_NE(elsewhere.error().message.find("192.0.2.1"), std::string::npos);
}

}  // namespace
}  // namespace pagoda
