# The three services in one small image. `docker compose build` builds it.

# The first stage has Rust and compiles the services.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The two caches keep downloaded and compiled dependencies from one build to the next. They are no
# part of the image, so the last line copies the binaries out of the cache.
#
# Cargo compares the times of files to decide what to compile. After a change of branch, a file can
# be different without being newer. So `find` gives each file the time at which this cache first
# saw its present content.
RUN --mount=type=cache,id=redis-pubsub-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=redis-pubsub-target,target=/src/target,sharing=locked \
    find publisher subscriber pattern-subscriber crates -type f \
        -exec install -C -D {} target/seen/{} \; \
        -exec touch --reference=target/seen/{} {} \; \
 && cargo build --release --locked -p publisher -p subscriber -p pattern-subscriber \
 && mkdir /out \
 && cp target/release/publisher target/release/subscriber target/release/pattern-subscriber /out

# The second stage is the image. It has libc and certificates, but no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
# The base image's own user, as a number: tools that check for root can't look up a name.
USER 65532:65532
