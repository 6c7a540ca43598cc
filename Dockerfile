# Builds Parlance, and puts the binary alone into a small image that runs as an unprivileged user.
FROM node:20-bookworm-slim@sha256:2cf067cfed83d5ea958367df9f966191a942351a2df77d6f0193e162b5febfc0 AS web
WORKDIR /build/web
COPY web ./
RUN npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

FROM rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY .sqlx .sqlx
COPY migrations migrations
COPY crates crates
COPY src src
COPY --from=web /build/web/dist web/dist
# With link-time optimisation (profile release), unlike script/server: an image is built once and runs for long.
RUN cargo install --quiet --locked --version 0.7.7 cargo-auditable && cargo auditable build --release --locked

# For backups: PostgreSQL's programs, of the same major version as the database (docker-compose.yml).
FROM postgres:17-bookworm@sha256:639ab7ceb90e13123085b741fb31ef493fba25463002f6da665352e7b534b652 AS backup
COPY --from=build /build/target/release/parlance /usr/local/bin/parlance
WORKDIR /backups
# PostgreSQL does not run as root: `verify` restores into a scratch database, as this user.
CMD ["sh", "-euc", "chown postgres . && file=$(date -u +%Y-%m-%dT%H%M%SZ).tar && gosu postgres parlance backup $file && gosu postgres parlance backup verify $file"]

FROM debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 parlance && install -d -o parlance /var/lib/parlance
WORKDIR /var/lib/parlance
COPY --from=build /build/target/release/parlance /usr/local/bin/parlance
# By number: an orchestrator that demands a user other than root cannot look up names.
USER 10001
ENV LISTEN_ADDR=0.0.0.0:8080 LOG_FORMAT=json
EXPOSE 8080
# As the server is configured. 0.0.0.0 is this container; its certificate has another name.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD curl -fsSk "http${TLS_CERT:+s}://$LISTEN_ADDR/readyz"
CMD ["parlance", "serve"]
