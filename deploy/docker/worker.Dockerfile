# mico-worker: libtorch, cross compilers and emulators.
FROM debian:trixie AS build
WORKDIR /source
COPY deploy/install-dependencies.sh deploy/install-dependencies.sh
RUN deploy/install-dependencies.sh build
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF && ninja -C build/release mico-worker mico-torchscript

# The worker links libtorch and compiles for its targets: it keeps the packages of both lists.
FROM debian:trixie
WORKDIR /opt/mico
COPY deploy/install-dependencies.sh deploy/install-dependencies.sh
RUN deploy/install-dependencies.sh build run \
    && useradd --system --create-home --home-dir /var/lib/mico mico
# mico-torchscript lies beside it and runs under bubblewrap. Docker's own filter of system calls keeps
# bubblewrap from making namespaces: without `--security-opt seccomp=unconfined --security-opt
# apparmor=unconfined` the worker does all but read TorchScript, and `mico-cli doctor` says so.
COPY --from=build /source/build/release/bin/mico-worker /source/build/release/bin/mico-torchscript \
     /usr/local/bin/
COPY target/catalogue /opt/mico/targets
USER mico
ENTRYPOINT ["mico-worker"]
CMD ["--server", "127.0.0.1:50051", "--target", "/opt/mico/targets/rv32imc.yaml", \
     "--target", "/opt/mico/targets/cortex-m4.yaml", "--target", "/opt/mico/targets/host-c99.yaml"]
