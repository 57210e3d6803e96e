// Writes the first inputs of every fuzz target, made by our own code: make_seeds FOLDER puts them
// into FOLDER/<target>/seed-<number>. deploy/fuzz.sh --seeds calls it, --merge thins them out.
#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "codegen/signature.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "proto/convert.h"
#include "target/latency_model.h"
#include "tests/integration/small_network.h"
#include "tests/support/image_files.h"
#include "tests/support/npz_builder.h"
#include "tests/support/paths.h"
#include "tests/support/tar_builder.h"
#include "tests/unit/model/onnx_file.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using Seeds = std::map<std::string, std::vector<std::string>>;

// As tests/fuzz/fuzz.h reads it.
std::string Piece(std::string_view bytes) {
  std::string piece;
  piece += static_cast<char>(bytes.size() & 0xff);
  piece += static_cast<char>(bytes.size() >> 8);
  return piece.append(bytes);
}

std::string After(char choice, std::string_view bytes) { return choice + std::string(bytes); }

// One call of service_fuzz.
std::string Call(char method, const google::protobuf::MessageLite& request) {
  return After(method, Piece(request.SerializeAsString()));
}

OnnxFile Image(int64_t opset = 13) {
  OnnxFile file(opset);
  file.Input("x", {-1, 2, 6, 6}).Ramp("w", {3, 2, 3, 3}).Ramp("b", {3});
  file.Node("Conv", {"x", "w", "b"}, "c").Ints("pads", {1, 1, 1, 1});
  return file;
}

std::vector<std::string> Networks() {
  std::vector<std::string> networks = {SmallNetwork(), LongNetwork(2)};
  networks.push_back(Image()
                         .Floats("one", {3}, {1, 2, 3})
                         .Node("BatchNormalization", {"c", "one", "b", "b", "one"}, "n")
                         .Node("Clip", {"n"}, "k")
                         .Node("MaxPool", {"k"}, "p")
                         .Ints("kernel_shape", {2, 2})
                         .Ints("strides", {2, 2})
                         .Node("Concat", {"p", "p"}, "y")
                         .Int("axis", 1)
                         .Bytes());
  networks.push_back(Image(9)
                         .Node("Add", {"c", "c"}, "a")
                         .Node("Relu", {"a"}, "r")
                         .Node("AveragePool", {"r"}, "p")
                         .Ints("kernel_shape", {3, 3})
                         .Int("count_include_pad", 1)
                         .Text("auto_pad", "SAME_UPPER")
                         .Node("GlobalAveragePool", {"p"}, "g")
                         .Node("Flatten", {"g"}, "f")
                         .Node("Softmax", {"f"}, "y")
                         .Bytes());
  networks.push_back(Image()
                         .Integers("shape", {1, -1})
                         .Integers("zero", {0})
                         .Node("Shape", {"c"}, "s")
                         .Node("Gather", {"s", "zero"}, "batch")
                         .Integers("rest", {-1})
                         .Node("Concat", {"batch", "rest"}, "to")
                         .Int("axis", 0)
                         .Node("Reshape", {"c", "to"}, "flat")
                         .Ramp("m", {108, 4})
                         .Node("MatMul", {"flat", "m"}, "y")
                         .Bytes());
  networks.push_back(Image()
                         .Integers("pads", {0, 0, 1, 1, 0, 0, 1, 1})
                         .Node("Pad", {"c", "pads"}, "d")
                         .Node("Transpose", {"d"}, "t")
                         .Ints("perm", {0, 2, 3, 1})
                         .Node("ReduceMean", {"t"}, "m")
                         .Ints("axes", {1, 2})
                         .Int("keepdims", 0)
                         .Node("Dropout", {"m"}, "y")
                         .Bytes());
  networks.push_back(OnnxFile()
                         .Input("x", {1, 5})
                         .Ramp("w", {4, 5})
                         .Node("Gemm", {"x", "w"}, "g")
                         .Int("transB", 1)
                         .Float("alpha", 0.5f)
                         .Node("Relu", {"g"}, "y")
                         .Bytes());
  return networks;
}

void AddNetworks(Seeds& seeds) {
  for (const std::string& network : Networks()) {
    const absl::StatusOr<ModelPackage> package = OnnxImporter().Import(network);
    seeds["onnx"].push_back(network);
    // A seed that no longer imports is still one for the importer.
    if (package.ok()) seeds["model_package"].push_back(Serialize(*package));
  }
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    Random random(seed);
    const ModelPackage package = testing::RandomWeights(testing::RandomNetwork(random), seed);
    const bool non_negative = seed % 2 == 0;
    const BitScheme scheme = testing::RandomScheme(package.graph, non_negative, random);
    const QuantizedModel model = testing::MustQuantize(package, non_negative, scheme);
    const std::string bytes = Serialize(model);
    if (bytes.size() <= 8192) seeds["quantized_model"].push_back(bytes);
    if (seed <= 3) {
      seeds["calibration"].push_back(Serialize(testing::Calibrate(package, non_negative, seed)));
    }
    for (const Step& step : model.graph.steps) {
      seeds["signature"].push_back(StepSignature(model.graph, step));
    }
  }
}

LatencyTable SmallTable() {
  LatencyTable table;
  table.profile_key = "fake-board";
  table.steps["conv x=4x4x1:u8 w=s8 y=4x4x4:u8 k=3x3 s=1x1 p=1,1,1,1 d=1x1 g=1"] = {1234, 5};
  table.kernel_code_bytes["mico_conv2d_u8_s8_u8"] = 700;
  table.base_flash_bytes = 500;
  table.step_code_bytes = 20;
  table.run_overhead = 7;
  return table;
}

NpzBuilder SmallSplits() {
  NpzBuilder builder;
  for (const char* split : {"train", "val", "test"}) {
    builder.Add<uint8_t>(fmt::format("x_{}", split), "|u1", {2, 1, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
    builder.Add<int64_t>(fmt::format("y_{}", split), "<i8", {2}, {0, 1});
  }
  return builder;
}

std::string Npy(std::string_view descr, std::string_view shape, size_t bytes, char value) {
  return NpyBytes(
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}\n", descr, shape),
      std::string(bytes, value));
}

void AddDataSets(Seeds& seeds) {
  seeds["npz"].push_back(After(0, SmallData()));
  NpzBuilder prepared = SmallSplits();
  prepared.Add<double>("scale", "<f8", {}, {0.5}).Add<double>("mean", "<f8", {1}, {0.25});
  prepared.Add<float>("std", "<f4", {1}, {2.0f});
  seeds["npz"].push_back(After(0, prepared.Build()));
  // The order of npz_fuzz: x_train y_train x_test y_test x_val y_val scale mean std.
  const std::string bytes = Npy("|u1", "3, 4", 12, 1), labels = Npy("<i4", "3,", 12, 0);
  seeds["npz"].push_back(After(1, Piece(bytes) + Piece(labels) + Piece(bytes) + Piece(labels)));
  const std::string floats = Npy("<f4", "2, 3, 3", 72, 0), pair = Npy("|u1", "2, 1", 2, 1);
  std::string all(1, '\1');
  for (int split = 0; split < 3; ++split) all += Piece(floats) + Piece(pair);
  all += Piece(Npy("<f8", "", 8, '\x3f')) + Piece(Npy("<f8", "1,", 8, '\x3f'));
  seeds["npz"].push_back(all + Piece(Npy("<f4", "1,", 4, '\x3f')));
}

// The order of images_fuzz: the preparation, then an image for each class of test, train, val.
void AddImages(Seeds& seeds) {
  const std::string grey = PlainPng(2, 1, 1, 7), colour = PlainPng(3, 3, 3, 9);
  JpegFile jpeg{.width = 3, .height = 3, .components = 3};
  jpeg.pixels = RandomBytes(27, 1);
  for (const std::string& image : {grey, colour, jpeg.Bytes()}) {
    std::string pieces(1, '\1');
    pieces += Piece(R"({"scale": 0.5, "mean": [1], "std": 4})");
    for (int place = 0; place < 6; ++place) pieces += Piece(image);
    seeds["images"].push_back(pieces);
  }
  TarBuilder tar;
  tar.Add("test/a/1.png", grey).Add("test/b/1.png", grey);
  tar.Add("train/a/1.png", grey).Add("train/b/1.png", grey);
  seeds["images"].push_back(After(0, tar.Build()));
}

void AddTexts(Seeds& seeds) {
  const std::filesystem::path root = kSourceFolder;
  for (const char* target : {"cortex-m4", "host-c99", "rv32imc"}) {
    seeds["target_file"].push_back(
        ReadFile(root / "target" / "catalogue" / fmt::format("{}.yaml", target)).value());
  }
  seeds["target_file"].push_back(
      "name: a\nisa: c99\nclock_hz: 1\nmemory: {flash_bytes: 1, ram_bytes: 1}\n"
      "toolchain: {cc: gcc, cflags: [-O2], ldflags: [], bsp: bsp}\nweight_bits: [8, 4]\n"
      "activation_bits: [8]\nlatency: {model: profiled}\nboard:\n  flash: [f, \"{elf}\"]\n"
      "  serial: {port: /dev/ttyACM0, baud: 115200}\n  counts: cycles\n  timeout_s: 60\n");
  seeds["job_file"].push_back(ReadFile(root / "examples" / "fashion-mnist" / "job.yaml").value());
  seeds["job_file"].push_back(
      "model: net.onnx\ndata: data.npz\ntarget: host-c99\nstrategy: random\nmax-latency: 12ms\n"
      "max-ram: 64KiB\nmax-flash: 0.5x\nmin-accuracy: 90%\ntrials: 9\nseed: 1\n"
      "calibration-samples: 8\n");
  seeds["job_file"].push_back("max-latency: 0.6x\nmax-ram: 1MB\nmin-accuracy: 0.9\n");
  seeds["latency_table"].push_back(Serialize(SmallTable()));
  seeds["board_protocol"].push_back(
      "\1begin selftest 2\ncase 0 ok\ncase 1 fail\nlayer 0 100\nrun 17\nend selftest 1 1");
  seeds["board_protocol"].push_back(
      "\1begin bench 2\noverhead 9\nbench 0 1000\nbench 1 0\nend bench 2 0");
  seeds["board_protocol"].push_back(
      After(0, "noise\nmico: 123456789 #cbf43926\r\nmico: begin bench 1 #00000000\n"));
  seeds["artifact_tar"].push_back(
      TarBuilder().Add("README.md", "text").Add("kernels/a.c", "int a;\n").Build());
  seeds["artifact_tar"].push_back(
      TarBuilder().Add("a", "").AddSpecial("b", '2', "/etc/passwd").Build());
}

// The name and the profile key are those of the fake worker of service_fuzz.
Target AnyTarget() {
  Target target;
  target.name = "fake";
  target.isa = "c99";
  target.clock_hz = 1'000'000;
  target.flash_bytes = target.ram_bytes = 1 << 20;
  target.profile_key = "fake-board";
  target.has_board = true;
  return target;
}

WorkerReport Report() {
  WorkerReport report;
  report.worker_id = "@worker";
  report.worker_name = "host";
  report.version = "1";
  report.evaluates = true;
  report.targets = {AnyTarget()};
  return report;
}

Score TopOne(int64_t correct, int64_t total) { return CountScore(Metric::kTop1, correct, total); }

std::vector<TaskOrder> Orders() {
  const Digest digest = Digest::Of("any");
  const BitScheme scheme = BitScheme::Parse("w8a8,w4a4,w2a2").value();
  return {
      {"lease", "1", 1, CalibrateTask{digest, digest, 256, 1}},
      {"lease", "2", 2, ProfileTask{"fake", "fake-board", {"conv", "add"}}},
      {"lease", "3", 1, EvaluateTask{digest, digest, digest, Split::kVal, 16, {scheme}, true}},
      {"lease", "4", 1,
       ArtifactTask{
           digest, digest, digest, "fake", scheme, TopOne(9, 10), TopOne(8, 10), {1, 2, 3}}},
      {"lease", "5", 1, ReconstructTask{digest, digest, digest, {4, 2}, 1024, 1}},
      {"lease", "6", 1, TrainTask{digest, digest, digest, scheme, {digest}, digest, digest, {2.5}}},
  };
}

std::vector<TaskResult> Results() {
  const Digest digest = Digest::Of("any");
  SchemeResult scheme;
  scheme.score = TopOne(9, 10);
  scheme.quantized = digest;
  return {
      {absl::OkStatus(), CalibrateResult{digest, true, TopOne(39, 40), TopOne(29, 30)}},
      {absl::OkStatus(), ProfileResult{digest}},
      {absl::OkStatus(), ReconstructResult{digest}},
      {absl::OkStatus(), TrainResult{digest, digest, 2.5, std::chrono::milliseconds(9)}},
      {absl::OkStatus(), EvaluateResult{{scheme}}},
      {absl::OkStatus(), ArtifactResult{digest, true, true, 1, 2, 3}},
      {absl::InternalError("no compiler"), {}},
  };
}

v1::Job AnyJob() {
  v1::Job job;
  job.set_id("abcd");
  job.set_state(v1::JOB_STATE_SEARCHING);
  job.mutable_spec()->set_model_name("small.onnx");
  job.mutable_spec()->set_trials(9);
  job.set_seconds_left(90);
  for (int i = 1; i <= 3; ++i) {
    v1::Trial trial;
    trial.set_number(i);
    trial.mutable_val()->set_correct(30 + i);
    trial.mutable_val()->set_total(40);
    trial.mutable_cost()->set_latency_cycles(100 * i);
    trial.set_scheme_text("w8a8,w4a4");
    *(i < 3 ? job.add_front() : job.add_uniform()) = trial;
  }
  return job;
}

void AddMessages(Seeds& seeds) {
  std::vector<std::string>& all = seeds["messages"];
  for (const TaskOrder& order : Orders()) {
    WorkerOrder answer;
    answer.order = order;
    all.push_back(After(0, ToProto(answer).SerializeAsString()));
    all.push_back(After(3, ToProto(order).SerializeAsString()));
  }
  for (const TaskResult& result : Results()) {
    WorkerReport report = Report();
    report.state = Finished{"lease", result};
    all.push_back(After(1, ToProto(report).SerializeAsString()));
    all.push_back(After(4, ToProto(result).SerializeAsString()));
  }
  JobSpec spec;
  spec.model = spec.dataset = Digest::Of("any");
  spec.target = "fake";
  spec.limits.max_latency = RequestedLimit{RequestedLimit::Kind::kRelative, 0.6};
  all.push_back(After(2, ToProto(spec).SerializeAsString()));
  all.push_back(After(5, AnyJob().SerializeAsString()));
}

// Numbers as in service_fuzz's Methods().
enum Method : char {
  kSynchronize,
  kSubmitJob,
  kGetJob,
  kListJobs,
  kWatchJob,
  kCancelJob,
  kGetArtifact,
  kListTrials,
  kListModels,
  kListDatasets,
  kListTargets,
  kListWorkers,
  kFindMissing,
  kUpload,
  kDownload,
  kDescribeDataset,
  kDiagnose,
  kConvertModel,
  kTime,
  kWork,
};

v1::SubmitJobRequest SmallJob(const std::string& strategy, bool validate_only) {
  v1::SubmitJobRequest request;
  request.set_request_id("again");
  request.set_validate_only(validate_only);
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_model_digest("@model");
  spec.set_dataset_digest("@data");
  spec.set_target("fake");
  spec.set_strategy(strategy);
  spec.set_trials(5);
  spec.mutable_limits()->mutable_max_latency()->set_relative(0.9);
  spec.mutable_limits()->mutable_max_ram()->set_absolute(100'000);
  spec.mutable_limits()->mutable_min_accuracy()->set_absolute(0.5);
  return request;
}

template <typename Request>
Request OfJob(const std::string& job) {
  Request request;
  request.set_job(job);
  return request;
}

std::string UploadCall(const std::string& content) {
  v1::UploadRequest first, second;
  first.set_digest(Digest::Of(content).hex());
  second.set_chunk(content);
  return After(kUpload,
               Piece(Piece(first.SerializeAsString()) + Piece(second.SerializeAsString())));
}

// What the worker says, with "@lease" where a result is delivered.
void AddConversations(std::vector<std::string>& all) {
  const std::string idle = Call(kSynchronize, ToProto(Report()));
  all.push_back(idle + idle);
  WorkerReport running = Report();
  running.state = Running{"@lease", 0.5};
  all.push_back(Call(kSynchronize, ToProto(running)));
  running.leaving = true;
  all.push_back(Call(kSynchronize, ToProto(running)) + idle);
  all.push_back(After(kTime, Piece("\x0c")) + Call(kSynchronize, ToProto(running)) + idle);
  for (TaskResult result : Results()) {
    const std::string content = "calibration 256 2";
    if (auto* calibration = std::get_if<CalibrateResult>(&result.result)) {
      calibration->calibration = Digest::Of(content);
    }
    WorkerReport report = Report();
    report.state = Finished{"@lease", result};
    all.push_back(UploadCall(content) + Call(kSynchronize, ToProto(report)) + idle);
    report.state = Finished{"@next", result};
    all.push_back(absl::StrCat(After(kTime, Piece("\xff")), idle, UploadCall(content),
                               Call(kSynchronize, ToProto(report)), idle));
  }
}

void AddCalls(Seeds& seeds) {
  std::vector<std::string>& all = seeds["service"];
  AddConversations(all);
  for (const char* strategy : {"", "uniform", "random", "sensitivity"}) {
    all.push_back(Call(kSubmitJob, SmallJob(strategy, true)));
    all.push_back(Call(kSubmitJob, SmallJob(strategy, false)) +
                  Call(kSynchronize, ToProto(Report())));
  }
  // The whole life of a job, and one that is cut short.
  const std::string work = After(kWork, Piece("\x1f"));
  v1::GetArtifactRequest best_of_new;
  best_of_new.set_job("@new");
  best_of_new.set_best(true);
  const std::string submit = Call(kSubmitJob, SmallJob("random", false));
  const std::string artifact_of_new = Call(kGetArtifact, best_of_new);
  all.push_back(submit + work + work + artifact_of_new + work + artifact_of_new +
                Call(kListTrials, OfJob<v1::ListTrialsRequest>("@new")) +
                Call(kWatchJob, OfJob<v1::WatchJobRequest>("@new")));
  all.push_back(submit + After(kWork, Piece("\x03")) +
                Call(kCancelJob, OfJob<v1::CancelJobRequest>("@new")) + work + artifact_of_new);
  for (const char* job : {"@job", "@running", "abcd"}) {
    v1::GetArtifactRequest artifact;
    artifact.set_job(job);
    artifact.set_trial(1);
    v1::GetArtifactRequest best;
    best.set_job(job);
    best.set_best(true);
    all.push_back(Call(kGetJob, OfJob<v1::GetJobRequest>(job)) +
                  Call(kWatchJob, OfJob<v1::WatchJobRequest>(job)) +
                  Call(kListTrials, OfJob<v1::ListTrialsRequest>(job)));
    all.push_back(Call(kGetArtifact, artifact) + Call(kGetArtifact, best));
    all.push_back(Call(kCancelJob, OfJob<v1::CancelJobRequest>(job)));
  }
  v1::ListJobsRequest page;
  page.set_page_size(1);
  page.set_page_token("1");
  std::string listings;
  for (const char method :
       {kListJobs, kListModels, kListDatasets, kListTargets, kListWorkers, kDiagnose}) {
    listings += Call(method, page);
  }
  all.push_back(listings);
  v1::DescribeDatasetRequest describe;
  describe.set_digest("@data");
  all.push_back(Call(kDescribeDataset, describe));
  v1::ConvertModelRequest convert;
  convert.set_digest("@script");
  convert.set_name("net.ts.pt");
  for (const int64_t extent : {1, 4, 4}) convert.add_input_shape(extent);
  all.push_back(Call(kConvertModel, convert) + work + Call(kConvertModel, convert));
  v1::FindMissingRequest missing;
  missing.add_digests("@model");
  missing.add_digests(Digest::Of("nothing").hex());
  v1::DownloadRequest download;
  download.set_digest("@artifact");
  download.set_offset(3);
  all.push_back(Call(kFindMissing, missing) + Call(kDownload, download) + UploadCall("new"));
}

bool Write(const Seeds& seeds, const std::filesystem::path& folder) {
  for (const auto& [target, inputs] : seeds) {
    std::filesystem::create_directories(folder / target);
    for (size_t i = 0; i < inputs.size(); ++i) {
      std::ofstream file(folder / target / fmt::format("seed-{}", i), std::ios::binary);
      file << inputs[i];
      if (!file.flush()) return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace mico

int main(int count, char** arguments) {
  if (count != 2) {
    fmt::print(stderr, "make_seeds: needed: the folder of the corpora\n");
    return 2;
  }
  mico::Seeds seeds;
  mico::AddNetworks(seeds);
  mico::AddDataSets(seeds);
  mico::AddImages(seeds);
  mico::AddTexts(seeds);
  mico::AddMessages(seeds);
  mico::AddCalls(seeds);
  return mico::Write(seeds, arguments[1]) ? 0 : 1;
}
