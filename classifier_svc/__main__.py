"""The service: `python -m classifier_svc` answers `rpc.classify` and `rpc.embed` until SIGTERM.

`CLASSIFIER_AMQP_URL` is the broker; with `CLASSIFIER_METRICS_PORT` it serves Prometheus metrics
on `CLASSIFIER_METRICS_HOST` (127.0.0.1 unless told). Run more of them to answer more.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial

# Before numpy is imported: the work is small, and idle threads would only hold memory.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from prometheus_client import Gauge, Info, start_http_server

from bus.pika_server import PikaServer
from bus.pika_services import RpcService, Service
from classifier_svc import encoder, model
from contracts.addresses import check_address
from contracts.messages import Classification, ClassifyRequest, Embedding, EmbedRequest
from contracts.topology import RPC_CLASSIFY, RPC_EMBED

log = logging.getLogger("classifier_svc")

# Of a vector's numbers, which are stored with 11 bits.
EMBEDDING_DECIMALS = 4

MODEL_INFO = Info("classifier_model", "The model that answers.")
CONNECTED = Gauge("classifier_connected", "1 while requests can arrive from the broker.")


def main() -> int:
    """Serve until told to stop; return 2 where a setting is missing or wrong."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The bus says in one line what pika says in a traceback.
    logging.getLogger("pika").setLevel("CRITICAL")
    url = os.environ.get("CLASSIFIER_AMQP_URL")
    if not url:
        print("CLASSIFIER_AMQP_URL is not set", file=sys.stderr)
        return 2
    try:
        check_address("CLASSIFIER_AMQP_URL", url)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    port = os.environ.get("CLASSIFIER_METRICS_PORT", "0")
    if not port.isdecimal():
        print("CLASSIFIER_METRICS_PORT must be a port number", file=sys.stderr)
        return 2

    space = encoder.load()
    known = model.load()

    def classify(requests: Sequence[ClassifyRequest]) -> list[Classification]:
        return [known.classify(request.text) for request in requests]

    services: list[Service] = [RpcService(RPC_CLASSIFY, ClassifyRequest, classify)]
    if space is not None:
        # Without it requests wait in their queue for a worker that can answer them.
        services.append(RpcService(RPC_EMBED, EmbedRequest, partial(embed, space)))
    server = PikaServer(url, "classifier_svc", services)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only a flag is set here: the request in work is answered before the connection closes.
        signal.signal(number, lambda *_: server.stop())
    MODEL_INFO.info({"version": known.version})
    CONNECTED.set_function(lambda: server.is_connected)
    if int(port):
        host = os.environ.get("CLASSIFIER_METRICS_HOST", "127.0.0.1")
        start_http_server(int(port), addr=host)
    log.info("model %s is loaded", known.version)
    server.run()
    log.info("stopped")
    return 0


def embed(space: encoder.Encoder, requests: Sequence[EmbedRequest]) -> list[Embedding]:
    """Return where each text lies."""
    rows = space.encode([request.text for request in requests]).astype(float)
    return [
        Embedding(vector=row.round(EMBEDDING_DECIMALS).tolist(), model=encoder.VERSION)
        for row in rows
    ]


if __name__ == "__main__":
    sys.exit(main())
