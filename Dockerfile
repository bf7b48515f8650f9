# One image a service: docker build --build-arg SERVICE=web .
# An image holds its service, contracts, bus, runtime and i18n, runs as nobody's root, and needs no compiler.
ARG SERVICE
FROM python:3.13-slim AS build
ARG SERVICE
# Where a build machine trusts certificates of its own, uv and npm should too.
ENV UV_NATIVE_TLS=1 UV_LINK_MODE=copy PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY pyproject.toml requirements.lock package.json package-lock.json .npmrc ./
COPY deploy/requirements.py deploy/
RUN python -m venv /opt/venv && python -m venv /opt/tools \
 && sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.txt \
 && /opt/tools/bin/pip install --quiet --require-hashes --requirement uv.txt
RUN case $SERVICE in \
      ticket_svc|analytics_svc) extras=$SERVICE,migrate ;; \
      classifier_svc) extras=$SERVICE,trainer ;; \
      *) extras=$SERVICE ;; \
    esac \
 && python deploy/requirements.py "$extras" > wanted.txt \
 && /opt/tools/bin/uv pip install --quiet --python /opt/venv/bin/python \
      --constraint requirements.lock --requirement wanted.txt
# htmx, for the web tier only; npm comes from a wheel and stays behind.
RUN mkdir -p node_modules \
 && if [ "$SERVICE" = web ]; then \
      python deploy/requirements.py node > node.txt \
      && /opt/tools/bin/uv pip install --quiet --python /opt/tools/bin/python \
           --constraint requirements.lock --requirement node.txt \
      && PATH=$PATH:/opt/tools/bin npm ci --silent --no-audit --no-fund --omit=dev; \
    fi
COPY contracts contracts
COPY bus bus
COPY runtime runtime
COPY i18n i18n
COPY ${SERVICE} ${SERVICE}
RUN mkdir -p /app && cp -r contracts bus runtime i18n "$SERVICE" node_modules /app/ \
 && /opt/venv/bin/python -m compileall -q /app

FROM python:3.13-slim
ARG SERVICE
ENV SERVICE=$SERVICE PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
# A volume that is mounted on /data belongs to the service.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin campus \
 && install -d -o campus /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER campus
# The service itself is process 1 and gets SIGTERM.
ENTRYPOINT ["/bin/sh", "-c", "exec python -m $SERVICE \"$@\"", "--"]
