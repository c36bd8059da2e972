# wsbump in a container: one program on a base without a shell, as a user without rights.
#
#   docker build -t wsbump .
#   docker run --read-only -p 127.0.0.1:3128:3128 -v wsbump:/var/lib/wsbump \
#       -v ./wsbump:/etc/wsbump:ro wsbump
#
# deploy/compose has it with Prometheus and Grafana.
ARG BUILD=docker.io/library/rust:1.90-slim-bookworm
# glibc, libgcc and the public roots, and nothing else.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD} AS build
# "dev" builds in a fraction of the time, for trying the image.
ARG PROFILE=release
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY src src
COPY benches benches
COPY tests/it tests/it
COPY deploy/compose/wsbump deploy/compose/wsbump
RUN cargo build --locked --bin wsbump --profile "$PROFILE" \
    && mkdir -p /image/usr/bin /image/etc/wsbump /image/var/lib/wsbump \
    && cp -r deploy/compose/wsbump/. /image/etc/wsbump/ \
    && cp "target/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")/wsbump" /image/usr/bin/wsbump \
    && strip /image/usr/bin/wsbump

FROM ${BASE}
COPY --from=build /image/usr/bin/wsbump /usr/bin/wsbump
COPY --from=build /image/etc/wsbump /etc/wsbump
# The CA and what else has to outlive the container. A new volume takes its owner from here.
COPY --from=build --chown=65532:65532 /image/var/lib/wsbump /var/lib/wsbump
ENV WSBUMP_DATA_DIR=/var/lib/wsbump
USER 65532:65532
VOLUME /var/lib/wsbump
EXPOSE 3128 9128
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s \
    CMD ["/usr/bin/wsbump", "health", "--config", "/etc/wsbump/wsbump.toml"]
ENTRYPOINT ["/usr/bin/wsbump"]
CMD ["run", "--config", "/etc/wsbump/wsbump.toml"]
