"""The asynchronous half of Microsoft's client: `python microsoft_async.py URL TOKEN` prints what its calls answered.

In a process of its own, because aiohttp reads SSL_CERT_FILE when it is imported.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Self

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.aio.async_client import AsyncDataverseClient
from PowerPlatform.Dataverse.models.upsert import UpsertItem

TABLE = "new_Machine"


class Token:
    """A credential of azure-core's asynchronous protocol that has its token already."""

    def __init__(self, token: str) -> None:
        self.token = AccessToken(token, int(time.time()) + 600)

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        return self.token

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def rows(client: AsyncDataverseClient) -> dict[str, Any]:
    """Write rows in each way and read them again."""
    await client.tables.create(TABLE, {"new_Code": "string", "new_Weight": "int"})
    await client.tables.create_alternate_key(TABLE, "new_bycode", ["new_code"])
    made = await client.records.create(TABLE, [{"new_name": f"m{n}", "new_weight": n} for n in range(4)])
    await client.records.update(TABLE, made[:2], {"new_weight": 9})
    await client.records.upsert(TABLE, [UpsertItem({"new_code": f"ü {n}"}, {"new_name": f"u{n}"}) for n in range(2)])
    await client.records.upsert(TABLE, [UpsertItem({"new_code": "ü 1"}, {"new_weight": 7})])
    await asyncio.gather(*(client.records.create(TABLE, {"new_name": f"g{n}"}) for n in range(10)))
    job = await client.records.delete(TABLE, made[2:])
    found = await client.records.list(TABLE, select=["new_name", "new_weight"], filter="startswith(new_name,'m')")
    upserted = await client.records.list(TABLE, filter="new_code eq 'ü 1' and new_weight eq 7")
    return {
        "job": bool(job),
        "changed": sorted((row["new_name"], row["new_weight"]) for row in found),
        "upserted": [row["new_name"] for row in upserted],
    }


async def queries(client: AsyncDataverseClient) -> dict[str, Any]:
    """Read by pages, by SQL, by FetchXML and in a batch."""
    pages = client.records.list_pages(TABLE, select=["new_name"], orderby=["new_name"], page_size=5)
    sql = await client.query.sql(
        "SELECT TOP 1 new_name FROM new_machine WHERE new_name LIKE 'g%' ORDER BY new_name DESC"
    )
    entity = '<entity name="new_machine"><attribute name="new_name"/><order attribute="new_name"/></entity>'
    fetched = await client.query.fetchxml(f'<fetch count="4">{entity}</fetch>').execute()
    batch = client.batch.new()
    async with batch.changeset() as change:
        reference = change.records.create(TABLE, {"new_name": "first"})
        change.records.update(TABLE, reference, {"new_weight": 3})
    batch.records.list(TABLE, filter="new_name eq 'first'", select=["new_weight"])
    result = await batch.execute()
    return {
        "pages": [len(page) async for page in pages],
        "sql": [row["new_name"] for row in sql],
        "fetched": len(fetched),
        "batch": [one.status_code for one in result.responses],
    }


async def main(base_url: str, token: str) -> None:
    """Run all calls."""
    async with AsyncDataverseClient(base_url, Token(token)) as client:
        print(json.dumps(await rows(client) | await queries(client)))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
