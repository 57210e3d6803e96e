#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace mico {

// The folder of development data: environment MICO_TEST_DATA, or ../shared/data beside the
// repository; nothing if neither is there.
std::optional<std::filesystem::path> DataFolder(const std::filesystem::path& source_folder);

// The data sets of that folder, as Dataset. Split as ../shared/design/contracts.md wants it: the
// test images serve twice, their first half as val and their second half as test.
//
// CIFAR-10 as ResNet-20 reads it: training batch 1 is train.
absl::StatusOr<Dataset> LoadCifar10(const std::filesystem::path& data_folder);
// The same with all five training batches, in a folder that deploy/get-data.sh has filled.
absl::StatusOr<Dataset> LoadWholeCifar10(const std::filesystem::path& data_folder);
// MNIST, 28x28, scaled as mnist-8 reads it (0 to 255).
absl::StatusOr<Dataset> LoadMnist(const std::filesystem::path& data_folder);
// MNIST as LeNet-5 reads it: bilinear to 32x32 bytes (corners not aligned), 0 to 1.
absl::StatusOr<Dataset> LoadMnist32(const std::filesystem::path& data_folder);
// The same with all training images.
absl::StatusOr<Dataset> LoadWholeMnist32(const std::filesystem::path& data_folder);
// MNIST as vectors of 784, 0 to 1: what mnist-mlp-bn reads.
absl::StatusOr<Dataset> LoadMnistFlat(const std::filesystem::path& data_folder);
// MNIST as the network of mnist-atmega reads it: bilinear to 16x16 bytes (a triangle as wide as
// what becomes one pixel), the 14x14 in the middle, 1 where a byte is above 0.3 of 255, else 0.
absl::StatusOr<Dataset> LoadMnistBinary14(const std::filesystem::path& data_folder);

// A gzip file unpacked.
absl::StatusOr<std::string> ReadGzip(const std::filesystem::path& path);

}  // namespace mico
