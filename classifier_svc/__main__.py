"""The service: `python -m classifier_svc` answers `rpc.classify` until SIGTERM or Ctrl-C.

`CLASSIFIER_AMQP_URL` is the broker; with `CLASSIFIER_METRICS_PORT` it serves Prometheus metrics
on `CLASSIFIER_METRICS_HOST` (127.0.0.1 unless told). Run more of them to answer more.
"""

import logging
import os
import signal
import sys

# Before numpy is imported: the work is small, and idle threads would only hold memory.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from prometheus_client import Gauge, Info, start_http_server

from bus.pika_server import PikaRpcServer
from classifier_svc.model import load
from contracts.addresses import check_address
from contracts.messages import Classification, ClassifyRequest
from contracts.topology import RPC_CLASSIFY

log = logging.getLogger("classifier_svc")

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

    model = load()

    def classify(request: ClassifyRequest) -> Classification:
        return model.classify(request.text)

    server = PikaRpcServer(url, "classifier_svc", RPC_CLASSIFY, ClassifyRequest, classify)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only a flag is set here: the request in work is answered before the connection closes.
        signal.signal(number, lambda *_: server.stop())
    MODEL_INFO.info({"version": model.version})
    CONNECTED.set_function(lambda: server.is_connected)
    if int(port):
        host = os.environ.get("CLASSIFIER_METRICS_HOST", "127.0.0.1")
        start_http_server(int(port), addr=host)
    log.info("model %s is loaded", model.version)
    server.run()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
