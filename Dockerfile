# syntax=docker/dockerfile:1
# The image: one static binary on distroless, nothing else. `docker build .` compiles it. A release hands in what it has built and tested
# already, as linux_amd64/baton-coupa and linux_arm64/baton-coupa under dist, and nothing is compiled:
#
#   docker buildx build --build-context binary=dist --platform linux/amd64,linux/arm64 .

# Each platform compiles for itself, emulated where it is a foreign one.
FROM rust:1.95-slim-trixie AS build
WORKDIR /source
COPY . .
ARG TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,id=cargo-$TARGETARCH,target=/usr/local/cargo/registry \
    --mount=type=cache,id=target-$TARGETARCH,target=/source/target \
    binary="$(BATON_COUPA_VERSION="$VERSION" .ci/static dist)" && \
    install -D "$binary" "/out/linux_$TARGETARCH/baton-coupa"

# A build context of this name takes its place.
FROM scratch AS binary
COPY --from=build /out/ /

# CA certificates, /tmp and a user, but no shell and no libc.
FROM gcr.io/distroless/static-debian13:nonroot
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="baton-coupa" \
      org.opencontainers.image.description="Identity-governance connector for Coupa" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="$SOURCE"
COPY --from=binary --chmod=0755 /linux_$TARGETARCH/baton-coupa /baton-coupa
# In digits, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/baton-coupa"]
