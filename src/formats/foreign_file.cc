#include "formats/foreign_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/escape.h"
#include "base/utf8.h"

namespace cllm {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMostLooked = 4 << 10;
constexpr std::size_t kMostQuoted = 80;

constexpr std::string_view kPacked = "unpack it, and name the GGUF file in it";
constexpr std::string_view kPyTorch =
    "a checkpoint of PyTorch or another archive in ZIP format: convert the model with llama.cpp's convert_hf_to_gguf.py, or fetch it as "
    "GGUF";

struct Signature {
  std::size_t at;
  std::string_view bytes;
  std::string_view is;
};

// The more telling ones first.
constexpr std::array kSignatures = {
    // Models in other formats. The old formats of ggml begin with a number, so its letters stand in reverse.
    Signature{0, "lmgg"sv,
              "a ggml file of before GGUF (or a model of whisper.cpp): fetch the model as GGUF, or convert the original again"},
    Signature{0, "fmgg"sv, "a ggmf file of before GGUF: fetch the model as GGUF, or convert the original again"},
    Signature{0, "tjgg"sv, "a ggjt file of before GGUF: fetch the model as GGUF, or convert the original again"},
    Signature{0, "algg"sv, "a LoRA adapter in the ggla format of before GGUF"},
    Signature{0, "FUGG"sv, "a GGUF file whose bytes are swapped: fetch the little-endian one"},
    Signature{0, "MZqFpD"sv, "a llamafile: unzip it, and name the GGUF file in it"},
    Signature{0, "PK\x03\x04"sv, kPyTorch},
    Signature{0, "PK\x05\x06"sv, "an empty ZIP archive"},
    Signature{0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras writes them: fetch the model as GGUF"},
    Signature{0, "\x93NUMPY"sv, "an array of NumPy: fetch the model as GGUF"},
    Signature{4, "TFL3"sv, "a model of TensorFlow Lite: fetch it as GGUF"},
    Signature{0, "\x80\x02"sv, "a pickle of Python, as PyTorch wrote checkpoints: fetch the model as GGUF, or convert it"},
    // What stands for a file that is elsewhere.
    Signature{0, "version https://git-lfs"sv,
              "a Git LFS pointer, a line that stands for the model: run `git lfs pull` in its repository, or fetch the file itself"},
    Signature{0, "version https://hawser"sv,
              "a Git LFS pointer, a line that stands for the model: run `git lfs pull` in its repository, or fetch the file itself"},
    Signature{0, "# xet version"sv, "a Xet pointer, a line that stands for the model: fetch the file itself"},
    Signature{0, "/annex/objects/"sv, "a git-annex pointer, a line that stands for the model: run `git annex get`"},
    // Packed files.
    Signature{0, "\x1f\x8b"sv, "packed with gzip: "},
    Signature{0, "BZh"sv, "packed with bzip2: "},
    Signature{0,
              "\xfd"
              "7zXZ\0"sv,
              "packed with xz: "},
    Signature{0, "\x28\xb5\x2f\xfd"sv, "packed with zstd: "},
    Signature{0, "\x04\x22\x4d\x18"sv, "packed with lz4: "},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive: "},
    Signature{0, "Rar!\x1a\x07"sv, "a RAR archive: "},
    Signature{257, "ustar"sv, "a tar archive: "},
    // What is no model at all.
    Signature{0,
              "\x7f"
              "ELF"sv,
              "a program or library of Linux"},
    Signature{0, "MZ"sv, "a program of Windows"},
    Signature{0, "%PDF-"sv, "a PDF document"},
    Signature{0, "\x89PNG"sv, "a PNG picture"},
};

bool Has(std::string_view file, const Signature& signature) {
  return file.size() >= signature.at && file.substr(signature.at).starts_with(signature.bytes);
}

// A 64-bit length, and JSON of that length.
bool IsSafetensors(std::string_view head, std::size_t file_bytes) {
  std::uint64_t length = 0;
  if (head.size() <= sizeof length || head[sizeof length] != '{') return false;
  std::memcpy(&length, head.data(), sizeof length);
  return length >= 2 && length <= file_bytes - sizeof length;
}

// A protocol buffer whose first field is the version of its format and whose second is the producer's name or the graph.
bool IsOnnx(std::string_view head) {
  return head.size() > 4 && head[0] == 0x08 && head[1] > 0 && head[1] < 32 && (head[2] == 0x12 || head[2] == 0x3a);
}

bool BeginsWith(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::ranges::equal(text.substr(0, lower_case.size()), lower_case, {}, [](unsigned char c) { return std::tolower(c); });
}

// A text without control characters, as far as it was looked at.
bool IsText(std::string_view head, bool whole) {
  std::size_t bad = 0;
  const bool valid = IsValidUtf8(head, &bad) || (!whole && head.size() - bad < 4);
  return valid && std::ranges::none_of(head, [](unsigned char c) { return (c < 0x20 && !std::isspace(c)) || c == 0x7F; });
}

// Without what may stand before the first character that counts.
std::string_view FromFirstCharacter(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text.substr(std::min(text.find_first_not_of(" \t\r\n\v\f"), text.size()));
}

bool IsHtml(std::string_view text) {
  constexpr std::array<std::string_view, 4> kTags = {"<!doctype html", "<html", "<head", "<body"};
  return std::ranges::any_of(kTags, [&](std::string_view tag) { return BeginsWith(text, tag); });
}

std::string DescribeText(std::string_view text) {
  if (text.empty()) return "nothing but blanks: fetch it again";
  const std::string line = Escaped(Shortened(text.substr(0, text.find_first_of("\r\n")), kMostQuoted));
  if (text[0] == '<') return fmt::format("XML, as servers answer where a download fails: {}", line);
  if (text[0] == '{' || text[0] == '[') return fmt::format("JSON, an error of a server or the settings of a model: {}", line);
  return fmt::format("a text that begins \"{}\"", line);
}

}  // namespace

std::string DescribeForeignFile(std::span<const std::byte> file) {
  if (file.empty()) return "empty: fetch it again";
  const std::string_view head(reinterpret_cast<const char*>(file.data()), std::min(file.size(), kMostLooked));
  for (const Signature& signature : kSignatures) {
    if (!Has(head, signature)) continue;
    return signature.is.ends_with(": ") ? fmt::format("{}{}", signature.is, kPacked) : std::string(signature.is);
  }
  if (IsSafetensors(head, file.size())) {
    return "a safetensors file: convert the model with llama.cpp's convert_hf_to_gguf.py, or fetch it as GGUF";
  }
  if (IsOnnx(head)) return "a model in ONNX format, it seems: fetch it as GGUF";
  if (std::ranges::all_of(head, [](char c) { return c == '\0'; }))
    return "zeros where it begins: a download that did not come to its end, fetch it again";
  const std::string_view text = FromFirstCharacter(head);
  if (IsHtml(text)) return "an HTML page, which a server sent in place of the model: fetch it again, from the address of the file itself";
  if (IsText(head, head.size() == file.size())) return DescribeText(text);
  const auto first = file.first(std::min<std::size_t>(file.size(), 4));
  return fmt::format("of no known format, its first bytes are {:02x}: damaged, encrypted, or a later piece of a file that was cut",
                     fmt::join(first, " "));
}

}  // namespace cllm
