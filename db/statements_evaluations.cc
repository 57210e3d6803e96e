// What schemes score, whoever asks.
#include "db/statements.h"

#include "db/database_connection.h"
#include "db/statement_row.h"

namespace mico {

std::optional<EvaluationRecord> StoreView::FindEvaluation(const std::string& setting,
                                                          const BitScheme& scheme) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT metric, correct, total, value, low, high, kl, quantized_digest FROM evaluations "
      "WHERE setting = (SELECT id FROM evaluation_settings WHERE content = ?) AND scheme = ?");
  Binder(statement).Text(setting).Text(scheme.ToString());
  return ReadOne<EvaluationRecord>(statement, [&](SQLite::Statement& found) {
    Row row(found);
    EvaluationRecord evaluation;
    evaluation.setting = setting;
    evaluation.scheme = scheme;
    evaluation.score = row.ScoreOf(row.MetricName());
    evaluation.divergence = row.Real();
    evaluation.quantized = row.Hex();
    return evaluation;
  });
}

void StoreTransaction::AddEvaluation(const EvaluationRecord& evaluation) {
  SQLite::Statement& setting =
      connection_.Prepare("INSERT OR IGNORE INTO evaluation_settings (content) VALUES (?)");
  Binder(setting).Text(evaluation.setting).Run();
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT OR IGNORE INTO evaluations (setting, scheme, metric, correct, total, value, low, "
      "high, kl, quantized_digest) VALUES ((SELECT id FROM evaluation_settings WHERE content = ?), "
      "?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Text(evaluation.setting)
      .Text(evaluation.scheme.ToString())
      .Text(ToString(evaluation.score.metric))
      .ScoreOf(evaluation.score)
      .Real(evaluation.divergence)
      .Text(evaluation.quantized.hex())
      .Run();
}

}  // namespace mico
