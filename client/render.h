#pragma once

#include <cstddef>
#include <limits>
#include <string>

#include "client/options.h"
#include "proto/exploration.pb.h"

namespace mico {

// "preparing", "searching", ...
std::string JobStateName(v1::JobState state);
// Nothing more will happen to the job.
bool HasEnded(v1::JobState state);

// One line: state, progress, rate, time left.
std::string ProgressLine(const v1::Job& job);

constexpr size_t kEveryRow = std::numeric_limits<size_t>::max();

// The front and the uniform networks, one row a trial. As text: widths as one digit a layer; where
// there are more than `most_rows` the uniform networks go first, then the front is thinned out
// evenly and a line says so. As CSV: all rows, exact numbers, widths separated by blanks. Values
// are shown with half the width of their 95 % interval in the text, with both its ends in CSV.
std::string RenderFront(const v1::Job& job, OutputFormat format, size_t most_rows = kEveryRow);

// Value on val over latency, the better the higher, in characters: o front, u uniform networks.
// Empty without points.
std::string RenderChart(const v1::Job& job, int columns, int rows);

// Everything that a person wants to see of a job, in at most `most_lines` lines where that is
// possible: first the tables shrink, then the chart goes.
std::string RenderJob(const v1::Job& job, size_t most_lines = kEveryRow);

}  // namespace mico
