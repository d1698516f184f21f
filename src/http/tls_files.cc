#include "http/tls_files.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "http/secret_file.h"

namespace cllm {
namespace {

std::string OpenSslReason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown reason";
}

// A key with a passphrase would make OpenSSL ask for it on the terminal.
int RefusePassphrase(char*, int, int, void*) { return 0; }

Status CheckReadable(const std::string& path, const char* option) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return InvalidArgument(fmt::format("{} {}: is a directory", option, path), option);
  errno = 0;
  if (std::ifstream(path)) return {};
  return InvalidArgument(fmt::format("{} {}: cannot open it: {}", option, path, std::strerror(errno)), option);
}

}  // namespace

Status CheckTlsFiles(const std::string& certificate, const std::string& key) {
  if (certificate.empty() && key.empty()) return {};
  if (certificate.empty() || key.empty()) {
    const char* missing = certificate.empty() ? "server.tls_certificate" : "server.tls_key";
    return InvalidArgument(fmt::format("{} is missing: TLS needs a certificate and its key", missing), missing);
  }
  if (Status status = CheckReadable(certificate, "server.tls_certificate"); !status) return status;
  if (Status status = CheckReadable(key, "server.tls_key"); !status) return status;
  if (Status status = CheckSecretFile(key, "server.tls_key"); !status) return status;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return Fail(ErrorCode::kInternal, "OpenSSL cannot make a TLS context");
  SSL_CTX_set_default_passwd_cb(context.get(), RefusePassphrase);
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1) {
    return InvalidArgument(
        fmt::format("server.tls_certificate {}: is no usable certificate in PEM form ({})", certificate, OpenSslReason()),
        "server.tls_certificate");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const std::string reason = OpenSslReason();
    const bool foreign = reason.contains("mismatch");
    return InvalidArgument(
        foreign ? fmt::format("server.tls_key {}: does not belong to the certificate {}", key, certificate)
                : fmt::format("server.tls_key {}: is no usable private key in PEM form without a passphrase ({})", key, reason),
        "server.tls_key");
  }
  if (SSL_CTX_check_private_key(context.get()) == 1) return {};
  return InvalidArgument(fmt::format("server.tls_key {}: does not belong to the certificate {}", key, certificate), "server.tls_key");
}

}  // namespace cllm
