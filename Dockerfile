# docker build -t ozh-notify:1.0.0 .
# Both stages need the same Python: the second runs what the first has installed.

FROM python:3.13.9-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ozh_notify ozh_notify
# Exact versions, as tested; the build's own tools too.
ENV PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m pip wheel --wheel-dir /wheels ".[socks]"
# Without pip in it, and compiled beforehand: at run time nothing is written.
RUN python -m venv --without-pip /opt/ozh-notify \
    && python -m pip --python /opt/ozh-notify/bin/python install --no-index --compile \
        --find-links /wheels "ozh-notify[socks]"

FROM python:3.13.9-slim-bookworm
COPY --from=build /opt/ozh-notify /opt/ozh-notify
ENV PATH=/opt/ozh-notify/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A .env mounted here is read.
WORKDIR /opt/ozh-notify
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENTRYPOINT ["/opt/ozh-notify/bin/ozh-notify"]
CMD ["--help"]
