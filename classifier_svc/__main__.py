"""The service: `python -m classifier_svc` answers until SIGTERM or Ctrl-C.

`CLASSIFIER_AMQP_URL` is the broker; `CLASSIFIER_EVENTS_KEY` is what events for it are signed with;
`CLASSIFIER_DATA_DIR` keeps corrections and promoted models; with `CLASSIFIER_METRICS_PORT` it
serves health and Prometheus metrics on `CLASSIFIER_METRICS_HOST` (127.0.0.1 unless told). Run more
of them, with the same folder, to answer more.
"""

import logging
import os
import signal
import sys

# Before numpy is imported: the work is small, and idle threads would only hold memory.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from prometheus_client import Gauge

from bus.pika_server import PikaServer
from classifier_svc import encoder, health
from classifier_svc.answers import Answers
from classifier_svc.corrections import CORRECTIONS_FILE, Corrections
from classifier_svc.models import MODELS_FOLDER, Models
from classifier_svc.settings import Settings
from runtime.listening import CannotListen, listening
from runtime.logs import start_logging

log = logging.getLogger("classifier_svc")

CONNECTED = Gauge("classifier_connected", "1 while requests can arrive from the broker.")


def main() -> int:
    """Serve until told to stop; return 2 for a wrong setting, 1 for a taken port."""
    start_logging()
    # The bus says in one line what pika says in a traceback.
    logging.getLogger("pika").setLevel("CRITICAL")
    try:
        settings = Settings.read(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2

    space = encoder.load()
    models = Models(settings.data / MODELS_FOLDER, space)
    corrections = Corrections(settings.data / CORRECTIONS_FILE)
    answers = Answers(models, space, corrections, settings.zone)
    server = PikaServer(settings.amqp_url, "classifier_svc", answers.services(settings.events_keys))
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only a flag is set here: what is in work is answered before the connection closes.
        signal.signal(number, lambda *_: server.stop())
    CONNECTED.set_function(lambda: server.is_connected)
    if settings.metrics_port:
        host, port = settings.metrics_host, settings.metrics_port
        try:
            with listening(host, port):
                health.serve(host, port, server)
        except CannotListen as error:
            print(error, file=sys.stderr)
            return 1
    log.info("model %s is loaded", models.current.version)
    server.run()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
