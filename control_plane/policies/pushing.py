"""What comes on a push, put together piece by piece: nothing is kept before it is whole."""

from collections.abc import AsyncIterator

from control_plane.policies import rules
from mesh.decisions.policy import Policy
from mesh.errors import RequestInvalid, RequestTooLarge
from mesh.v1 import policies_pb2

MAX_BYTES = 4 * 1024 * 1024
MAX_MODULES = 500


async def collect(
    requests: AsyncIterator[policies_pb2.PushPolicyRequest],
) -> tuple[policies_pb2.PushPolicyHeader, Policy]:
    """The header, and the modules below the layer's folder.

    Raises RequestInvalid for what is no push or was cut off, RequestTooLarge above 4 MiB.
    """
    header: policies_pb2.PushPolicyHeader | None = None
    modules: dict[str, str] = {}
    size = 0
    async for request in requests:
        kind = request.WhichOneof("message")
        if (kind == "header") != (header is None):
            raise RequestInvalid("a push is one header and then modules", field="message")
        if header is None:
            header = request.header
            _check_header(header)
            continue
        path = f"{rules.folder_of(header.layer)}/{request.module.path}"
        size += len(path) + len(request.module.text.encode())
        if path in modules:
            raise RequestInvalid(f"{request.module.path} comes twice", field="module.path")
        if size > MAX_BYTES or len(modules) >= MAX_MODULES:
            raise RequestTooLarge(
                f"a layer has at most {MAX_MODULES} modules and {MAX_BYTES >> 20} MiB in all"
            )
        modules[path] = request.module.text
    if header is None or len(modules) != header.modules:
        raise RequestInvalid(
            f"the push was cut off after {len(modules)} modules; nothing of it is kept",
            field="modules",
        )
    return header, Policy(modules)


def _check_header(header: policies_pb2.PushPolicyHeader) -> None:
    rules.check_layer(header.layer)
    if len(header.message) > rules.MAX_MESSAGE or len(header.commit) > rules.MAX_MESSAGE:
        raise RequestInvalid(
            f"message and commit have at most {rules.MAX_MESSAGE} characters", field="message"
        )
