# The three services in one small image, built by `docker compose build`.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# Cargo compiles again what is newer than its last build. But a file can have changed without
# being newer: another branch's, an unpacked archive's. So each file gets the time at which its
# present content was first seen here.
#
# Dependencies, and what was compiled of them, stay in the two caches from one build to the next.
# A cache is no part of the image: the binaries are copied out of it in the same step.
RUN --mount=type=cache,id=redis-pubsub-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=redis-pubsub-target,target=/src/target,sharing=locked \
    find publisher subscriber pattern-subscriber crates -type f \
        -exec install -C -D {} target/seen/{} \; \
        -exec touch --reference=target/seen/{} {} \; \
 && cargo build --release --locked -p publisher -p subscriber -p pattern-subscriber \
 && mkdir /out \
 && cp target/release/publisher target/release/subscriber target/release/pattern-subscriber /out

# libc and certificates, but no shell and no package manager. A container's command says which of
# the three is to run.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
# The user that the image has anyway, by its number: whoever checks that it is not root can't
# look up a name.
USER 65532:65532
