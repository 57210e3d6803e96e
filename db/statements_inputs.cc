// What jobs are made of: blobs, models, data sets.
#include "db/statements.h"

#include <array>

#include "absl/strings/str_join.h"
#include "db/checksum_vfs.h"
#include "db/database_connection.h"
#include "db/database_error.h"
#include "db/statement_row.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 3> kConversionStates{"pending", "ready", "failed"};

#define MICO_MODEL_COLUMNS \
  "digest, package_digest, name, layers, macs, parameters, input_shape, created_ms"
ModelRecord ReadModel(SQLite::Statement& statement) {
  Row row(statement);
  ModelRecord model;
  model.digest = row.Hex();
  model.package = row.Hex();
  model.name = row.Text();
  model.layers = row.Int();
  model.macs = row.Int();
  model.parameters = row.Int();
  model.input_shape = row.Text();
  model.created = row.Time();
  return model;
}

#define MICO_DATASET_COLUMNS                                                                     \
  "digest, name, description, sample_shape, bytes, val_samples, test_samples, classes, "         \
  "input_non_negative, val_taken_from_train, created_ms, target_elements, val_ones, test_ones, " \
  "val_variance, preparation_channels, warnings"
DatasetRecord ReadDataset(SQLite::Statement& statement) {
  Row row(statement);
  DatasetRecord dataset;
  dataset.digest = row.Hex();
  dataset.name = row.Text();
  dataset.description = row.Text();
  dataset.sample_shape = row.Text();
  dataset.bytes = row.Int();
  dataset.val_samples = row.Int();
  dataset.test_samples = row.Int();
  dataset.classes = row.Int();
  dataset.input_non_negative = row.Bool();
  dataset.val_taken_from_train = row.Bool();
  dataset.created = row.Time();
  const std::optional<int64_t> elements = row.IntOrNull();
  const int64_t val_ones = row.Int(), test_ones = row.Int();
  const double val_variance = row.Real();
  const std::optional<int64_t> channels = row.IntOrNull();
  dataset.warnings = SplitLines(row.Text());
  if (elements && channels) {
    dataset.preparation_channels = *channels;
    dataset.targets = TargetFacts{*elements, val_ones, test_ones, val_variance};
  }
  return dataset;
}

}  // namespace

std::string_view ToString(ConversionState state) {
  return kConversionStates[static_cast<size_t>(state)];
}

bool StoreView::HasBlob(const Digest& digest) {
  SQLite::Statement& statement = connection_.Prepare("SELECT 1 FROM blobs WHERE digest = ?");
  return Binder(statement).Hex(digest).Next();
}

void StoreTransaction::AddBlob(const Digest& digest, int64_t bytes, TimePoint now) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)");
  Binder(statement).Hex(digest).Int(bytes).Time(now).Run();
}

void StoreTransaction::ForgetCheckpoint(const Digest& checkpoint, int64_t task) {
  SQLite::Statement& statement = connection_.Prepare(
      "DELETE FROM blobs WHERE digest = ? AND "
      "created_ms >= (SELECT created_ms FROM tasks WHERE id = ?)");
  Binder(statement).Hex(checkpoint).Int(task);
  try {
    statement.exec();
  } catch (const SQLite::Exception& error) {
    // The foreign keys know who refers to it.
    if ((error.getErrorCode() & 0xFF) != SQLITE_CONSTRAINT) throw;
  }
}

BlobTotals StoreView::TotalBlobs() {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT count(*), coalesce(sum(bytes), 0) FROM blobs");
  statement.executeStep();
  Row row(statement);
  const int64_t count = row.Int();
  return {count, row.Int()};
}

std::string StoreView::QuickCheck() {
  TakeDamagedPage();
  try {
    SQLite::Statement& statement = connection_.Prepare("PRAGMA quick_check(1)");
    statement.executeStep();
    const std::string found = Row(statement).Text();
    // SQLite knows that a page could not be read, but not why.
    const std::optional<DamagedPage> page = TakeDamagedPage();
    return page ? fmt::format("{}: {}", ToString(*page), found) : found;
  } catch (const SQLite::Exception& error) {
    if (!IsDamage(error)) throw;
    return Describe(error);
  }
}

std::optional<ModelRecord> StoreView::FindModel(const Digest& digest) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_MODEL_COLUMNS " FROM models WHERE digest = ?");
  Binder(statement).Hex(digest);
  return ReadOne<ModelRecord>(statement, ReadModel);
}

std::vector<ModelRecord> StoreView::ListModels(int64_t offset, int most) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_MODEL_COLUMNS
                          " FROM models ORDER BY created_ms DESC, digest LIMIT ? OFFSET ?");
  Binder(statement).Int(most).Int(offset);
  return ReadAll<ModelRecord>(statement, ReadModel);
}

void StoreTransaction::AddModel(const ModelRecord& model) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT OR IGNORE INTO models (" MICO_MODEL_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Hex(model.digest)
      .Hex(model.package)
      .Text(model.name)
      .Int(model.layers)
      .Int(model.macs)
      .Int(model.parameters)
      .Text(model.input_shape)
      .Time(model.created)
      .Run();
}

std::optional<ConversionRecord> StoreView::FindConversion(const Digest& file,
                                                          const std::string& input_shape) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT file_digest, input_shape, name, state, error, package_digest, created_ms "
      "FROM conversions WHERE file_digest = ? AND input_shape = ?");
  Binder(statement).Hex(file).Text(input_shape);
  return ReadOne<ConversionRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    ConversionRecord conversion;
    conversion.file = row.Hex();
    conversion.input_shape = row.Text();
    conversion.name = row.Text();
    conversion.state = ParseState<ConversionState>(kConversionStates, row.Text());
    conversion.error = row.Text();
    conversion.package = row.Hex();
    conversion.created = row.Time();
    return conversion;
  });
}

void StoreTransaction::PutConversion(const ConversionRecord& conversion) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO conversions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (file_digest, input_shape) "
      "DO UPDATE SET state = excluded.state, error = excluded.error, "
      "package_digest = excluded.package_digest");
  Binder(statement)
      .Hex(conversion.file)
      .Text(conversion.input_shape)
      .Text(conversion.name)
      .Text(ToString(conversion.state))
      .Text(conversion.error)
      .HexOrNull(conversion.package)
      .Time(conversion.created)
      .Run();
}

std::optional<DatasetRecord> StoreView::FindDataset(const Digest& digest) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_DATASET_COLUMNS " FROM datasets WHERE digest = ?");
  Binder(statement).Hex(digest);
  return ReadOne<DatasetRecord>(statement, ReadDataset);
}

std::vector<std::string> StoreView::FindDatasetDigests(const std::string& prefix, int most) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT digest FROM datasets WHERE substr(digest, 1, length(?1)) = ?1 ORDER BY digest LIMIT "
      "?2");
  Binder(statement).Text(prefix).Int(most);
  return ReadAll<std::string>(statement, ReadText);
}

std::vector<DatasetRecord> StoreView::ListDatasets(int64_t offset, int most) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_DATASET_COLUMNS
                          " FROM datasets ORDER BY created_ms DESC, digest LIMIT ? OFFSET ?");
  Binder(statement).Int(most).Int(offset);
  return ReadAll<DatasetRecord>(statement, ReadDataset);
}

void StoreTransaction::AddDataset(const DatasetRecord& dataset) {
  const TargetFacts targets = dataset.targets.value_or(TargetFacts());
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO datasets (" MICO_DATASET_COLUMNS
      ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE "
      "SET "
      "target_elements = excluded.target_elements, val_ones = excluded.val_ones, "
      "test_ones = excluded.test_ones, val_variance = excluded.val_variance, "
      "preparation_channels = excluded.preparation_channels, warnings = excluded.warnings");
  Binder(statement)
      .Hex(dataset.digest)
      .Text(dataset.name)
      .Text(dataset.description)
      .Text(dataset.sample_shape)
      .Int(dataset.bytes)
      .Int(dataset.val_samples)
      .Int(dataset.test_samples)
      .Int(dataset.classes)
      .Int(dataset.input_non_negative)
      .Int(dataset.val_taken_from_train)
      .Time(dataset.created)
      .Int(targets.elements)
      .Int(targets.val_ones)
      .Int(targets.test_ones)
      .Real(targets.val_variance)
      .Int(dataset.preparation_channels)
      .Text(absl::StrJoin(dataset.warnings, "\n"))
      .Run();
}

}  // namespace mico
