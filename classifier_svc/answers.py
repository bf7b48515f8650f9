"""What the service does with each of its queues; knows no broker."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from prometheus_client import Counter, Info

from bus.pika_services import EventService, RpcService, Service, Wait
from bus.rpc import RpcError
from bus.signatures import Keys, check_event
from classifier_svc import encoder
from classifier_svc.corrections import (
    Correction,
    Corrections,
    DiskAway,
    count_confused,
    count_weeks,
)
from classifier_svc.encoder import Encoder
from classifier_svc.model import Model
from classifier_svc.models import Models
from contracts.messages import (
    Classification,
    ClassifyRequest,
    CorrectionsReport,
    CorrectionsRequest,
    Embedding,
    EmbedRequest,
    Event,
)
from contracts.topology import CLASSIFIER_CORRECTIONS, RPC_CLASSIFY, RPC_CORRECTIONS, RPC_EMBED
from contracts.vocabulary import CategorySource

# Of a vector's numbers, which are stored with 11 bits.
EMBEDDING_DECIMALS = 4

MODEL_INFO = Info("classifier_model", "The model that answers.")
CLASSIFIED_TOTAL = Counter("classifier_classified_total", "Answers given.", ["category"])
CORRECTED_TOTAL = Counter("classifier_corrected_total", "Corrections by helpdesk.", ["category"])


class Answers:
    """Answers each queue from the models, the encoder (None where it is away) and corrections."""

    def __init__(
        self, models: Models, space: Encoder | None, corrections: Corrections, zone: ZoneInfo
    ) -> None:
        self._models = models
        self._space = space
        self._corrections = corrections
        self._zone = zone
        self._current()

    def services(self, keys: Keys) -> list[Service]:
        """Return one service a queue; events are signed with one of the keys."""
        check = partial(check_event, "classifier_svc", keys)
        services: list[Service] = [
            RpcService(RPC_CLASSIFY, ClassifyRequest, self.classify),
            RpcService(RPC_CORRECTIONS, CorrectionsRequest, self.report),
            EventService(CLASSIFIER_CORRECTIONS, Event, self.keep, check),
        ]
        if self._space is not None:
            # Without it requests wait in their queue for a worker that can answer them.
            services.append(RpcService(RPC_EMBED, EmbedRequest, self.embed))
        return services

    def classify(self, requests: Sequence[ClassifyRequest]) -> list[Classification]:
        """Say which team has to act."""
        answers = self._current().classify([request.text for request in requests])
        for answer in answers:
            CLASSIFIED_TOTAL.labels(answer.category).inc()
        return answers

    def embed(self, requests: Sequence[EmbedRequest]) -> list[Embedding]:
        """Say where each text lies."""
        assert self._space is not None
        rows = self._space.encode([request.text for request in requests]).astype(float)
        return [
            Embedding(vector=row.round(EMBEDDING_DECIMALS).tolist(), model=encoder.VERSION)
            for row in rows
        ]

    def keep(self, events: Sequence[Event]) -> None:
        """Keep what helpdesk corrected, beside what the model of now says to the same text.

        Raises Wait while the disk takes nothing.
        """
        corrected = [
            (event.ticket, event.ticket.category)
            for event in events
            if event.ticket.category_source is CategorySource.HELPDESK
        ]
        said = self._current().classify([ticket.description for ticket, _ in corrected])
        kept = [
            Correction(
                ticket.id,
                ticket.version,
                ticket.modified_at,
                ticket.description,
                category,
                answer.category,
                answer.model,
            )
            for (ticket, category), answer in zip(corrected, said, strict=True)
            if category is not None
        ]
        try:
            self._corrections.keep(kept)
        except DiskAway as away:
            raise Wait(f"corrections: {away}") from away
        for _, category in corrected:
            CORRECTED_TOTAL.labels(category).inc()

    def report(self, requests: Sequence[CorrectionsRequest]) -> list[CorrectionsReport]:
        """Say what helpdesk corrected, and which model answers.

        Raises RpcError `unavailable` while the disk cannot be read.
        """
        try:
            corrections = self._corrections.read()
        except DiskAway as away:
            raise RpcError("unavailable", "The corrections cannot be read just now.") from away
        report = CorrectionsReport(
            model=self._current().version,
            accuracy=self._current().accuracy,
            weeks=count_weeks(corrections, self._zone),
            confused=count_confused(corrections),
            as_of=datetime.now(UTC),
        )
        return [report] * len(requests)

    def _current(self) -> Model:
        current = self._models.current
        MODEL_INFO.info({"version": current.version})
        return current
