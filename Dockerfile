# The image of data plane and operator for machines with a container engine. Its files are written by the same program
# as those of `make image` (.tools/image), from the C and C++ libraries of the first line's image; docs/image.md compares.
FROM node:24-bookworm-slim AS build
COPY . /src
RUN "$(/src/.tools/node.sh --pinned)/node" --disable-warning=ExperimentalWarning /src/.tools/image/main.ts --folders /image

FROM scratch
COPY --from=build /image/runtime/ /
COPY --from=build /image/app/ /
ENV PATH=/usr/bin
ENV MALLOC_ARENA_MAX=4
USER 65532:0
WORKDIR /
LABEL org.opencontainers.image.title="sealgate"
LABEL org.opencontainers.image.description="S3 gateway that encrypts buckets with keys that only the customer's KMS keeps"
LABEL org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.version="0.1.0"
ENTRYPOINT ["/usr/bin/node", "--disable-sigusr1", "--disable-warning=ExperimentalWarning", "/app/dataplane/main.js"]
