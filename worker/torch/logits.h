#pragma once

#include <cstdint>
#include <span>

namespace mico {

// KL(softmax(reference) || softmax(scale * integers)) in nats, in double.
double KlDivergence(std::span<const float> reference, std::span<const float> integers,
                    double scale);

}  // namespace mico
