"""Describes the interface as OpenAPI 3.1, from the table of addresses and the bodies' types."""

import json
from typing import Any

from aiohttp import hdrs
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from contracts.fields import ID_MAX
from contracts.rest import EditTicket, Problem, Ticket
from contracts.vocabulary import Role
from ticket_svc import problems
from ticket_svc.errors import BadJson, BadRole, Invalid, NotFound, NotJson, Refused, Unauthorized
from ticket_svc.handlers import NDJSON
from ticket_svc.parsing import IDEMPOTENCY_KEY
from ticket_svc.problems import KIND_OF_REFUSAL, Kind
from ticket_svc.routes import REST, Route

_REF = "#/components/schemas/{model}"
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The version, quoted."}}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Role": {"required": True, "schema": {"type": "string", "enum": list(Role)}},
    IDEMPOTENCY_KEY: {
        "schema": {"type": "string", "format": "uuid"},
        "description": "A repeat with the same key and body answers the same, and does no more.",
    },
    hdrs.IF_MATCH: {
        "schema": {"type": "string", "examples": ['"3"']},
        "description": "The ETag of the version that the edit was made from; * for any.",
    },
    hdrs.IF_NONE_MATCH: {
        "schema": {"type": "string", "examples": ['"3"']},
        "description": "The ETag of the version that the caller has.",
    },
}


def describe_api() -> str:
    """Return the document as JSON text."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in REST:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Campus helpdesk: tickets", "version": "1"},
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
                "schemas": schemas,
            },
        }
    )


def _schemas() -> dict[str, Any]:
    models: dict[type[BaseModel], JsonSchemaMode] = {Problem: "serialization"}
    for route in REST:
        if route.answer is not None:
            models[route.answer] = "serialization"
        for given in (route.body, route.query):
            if given is not None:
                models[given] = "validation"
    _, definitions = models_json_schema(list(models.items()), ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    # What the rule says beyond the type: a field is absent or has a value, and one is there.
    edit = schemas[EditTicket.__name__]
    edit["minProperties"] = 1
    for name, field in edit["properties"].items():
        edit["properties"][name] = field["anyOf"][0]
    return schemas


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": getattr(route.handler, "__name__", route.path),
        "summary": route.summary,
        "parameters": _parameters(route, schemas),
        "responses": _responses(route),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(route.body)}},
        }
    return operation


def _parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "header", **_HEADERS[name]} for name in ("X-Role", *route.headers)
    ]
    if "{id}" in route.path:
        schema = {"type": "integer", "minimum": 1, "maximum": ID_MAX}
        found.append({"name": "id", "in": "path", "required": True, "schema": schema})
    if "{key}" in route.path:
        schema = {"type": "string", "format": "uuid"}
        found.append({"name": "key", "in": "path", "required": True, "schema": schema})
    if route.query is not None:
        query = schemas.pop(route.query.__name__)
        found += [
            {
                "name": name,
                "in": "query",
                "required": name in query.get("required", ()),
                "schema": schema,
            }
            for name, schema in query["properties"].items()
        ]
    return found


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if route.answer is not None:
        success["content"] = {route.content_type: {"schema": _reference(route.answer)}}
    if route.answer is Ticket and route.content_type != NDJSON:
        success["headers"] = _ETAG
    responses: dict[str, Any] = {str(route.status): success}
    if hdrs.IF_NONE_MATCH in route.headers:
        responses["304"] = {"description": "The caller has this version.", "headers": _ETAG}
    by_status: dict[int, list[str]] = {}
    for kind in _kinds(route):
        by_status.setdefault(kind.status, []).append(f"`{kind.code}`: {kind.detail}")
    for status, sentences in sorted(by_status.items()):
        responses[str(status)] = {
            "description": " ".join(sentences),
            "content": {problems.CONTENT_TYPE: {"schema": _reference(Problem)}},
        }
    return responses


def _kinds(route: Route) -> list[Kind]:
    refusals: list[type[Refused]] = [BadRole, Unauthorized, *route.refusals]
    if route.path.startswith("/v1/tickets/{id}"):
        refusals.append(NotFound)
    if route.body is not None:
        refusals += [BadJson, NotJson]
    if route.body is not None or route.query is not None or "{key}" in route.path:
        refusals.append(Invalid)
    kinds = [KIND_OF_REFUSAL[refusal] for refusal in refusals]
    if route.body is not None:
        kinds += [problems.TOO_LARGE, problems.TOO_SLOW, problems.BAD_BODY]
    return [
        *kinds,
        *(problems.TOO_OFTEN, problems.UNAVAILABLE, problems.BUSY, problems.CONTENDED),
        problems.INTERNAL,
    ]


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
