# mico-server and mico-cli: no libtorch, no compilers.
FROM debian:trixie AS build
WORKDIR /source
COPY deploy/install-dependencies.sh deploy/install-dependencies.sh
RUN deploy/install-dependencies.sh build
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF \
    && ninja -C build/release mico-server mico-cli
# The packages whose shared libraries the two programs load: what the final image installs.
RUN ldd build/release/bin/mico-server build/release/bin/mico-cli \
    | awk '$3 ~ /^\// {print $3}' | sort -u | xargs realpath | xargs dpkg -S \
    | cut -d: -f1 | sort -u >runtime-packages

FROM debian:trixie-slim
COPY --from=build /source/runtime-packages /tmp/runtime-packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends </tmp/runtime-packages \
    && rm -rf /var/lib/apt/lists/* /tmp/runtime-packages \
    && useradd --system --create-home --home-dir /var/lib/mico mico
COPY --from=build /source/build/release/bin/mico-server /source/build/release/bin/mico-cli /usr/local/bin/
USER mico
VOLUME /var/lib/mico
ENTRYPOINT ["mico-server", "--data-dir", "/var/lib/mico/data"]
CMD ["--listen", "127.0.0.1:50051"]
