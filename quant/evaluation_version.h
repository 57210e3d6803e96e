#pragma once

namespace mico {

// Which integers Quantize gives and what a score is: raised by whoever changes either, so that
// results of before are not taken for results of now.
constexpr int kEvaluationVersion = 1;

}  // namespace mico
