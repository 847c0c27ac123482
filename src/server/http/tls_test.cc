// Tests of TlsContext.
#include "server/http/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "server/tls_test_support.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

class Tls : public testing::Test {
 protected:
  std::string message_of(const TlsFiles& files) {
    const auto loaded = TlsContext::load(files);
    return loaded.ok() ? "loaded" : loaded.error().message;
  }

  TlsFolder folder_;
};

TEST_F(Tls, LoadsACertificateAndItsKey) {
  EXPECT_EQ(message_of(folder_.files()), "loaded");
}

TEST_F(Tls, AnEncryptedKeyNeedsItsPassword) {
  TlsFiles files = folder_.files();
  files.private_key = folder_.write_encrypted_key("open sesame");
  EXPECT_THAT(message_of(files), HasSubstr(files.private_key));
  files.key_password = "wrong";
  EXPECT_THAT(message_of(files), HasSubstr(files.private_key));
  files.key_password = "open sesame";
  EXPECT_EQ(message_of(files), "loaded");
}

TEST_F(Tls, NamesTheFileThatIsWrongAndHow) {
  const TlsFiles good = folder_.files();
  const std::string missing = folder_.path("missing.pem");
  const std::string text = folder_.path("text.pem");
  std::ofstream(text) << "not a certificate\n";
  const std::string empty = folder_.path("empty.pem");
  std::ofstream{empty};
  EXPECT_THAT(message_of({missing, good.private_key}),
              HasSubstr("ssl-certfile '" + missing + "': No such file"));
  EXPECT_THAT(message_of({good.certificate_chain, missing}),
              HasSubstr("ssl-keyfile '" + missing + "': No such file"));
  EXPECT_THAT(message_of({text, good.private_key}), HasSubstr("ssl-certfile '" + text));
  EXPECT_THAT(message_of({good.certificate_chain, text}), HasSubstr("ssl-keyfile '" + text));
  EXPECT_THAT(message_of({empty, good.private_key}), HasSubstr("the file is empty"));
  EXPECT_THAT(message_of({good.certificate_chain, ""}), HasSubstr("ssl-keyfile: is needed"));
  EXPECT_THAT(message_of({"", good.private_key}), HasSubstr("ssl-certfile: is needed"));
  const TlsFolder other;
  EXPECT_THAT(message_of({good.certificate_chain, other.files().private_key}),
              HasSubstr("does not belong to the certificate in '" + good.certificate_chain));
}

}  // namespace
}  // namespace pagoda
